/// Sizes as the configuration writes them: `"1MiB"`, `"64kB"`, or a number of bytes.
package enum SizeText {
    private static let units: [(name: String, bytes: Int)] = [
        ("B", 1), ("kB", 1000), ("KiB", 1 << 10), ("MB", 1_000_000), ("MiB", 1 << 20),
        ("GB", 1_000_000_000), ("GiB", 1 << 30),
    ]

    package static func parse(_ text: String) throws(Mistake) -> Int {
        let digits = text.prefix { ("0"..."9").contains($0) }
        let name = text.dropFirst(digits.count)
        guard !digits.isEmpty, let unit = units.first(where: { $0.name == name }) else {
            let names = units.map(\.name).joined(separator: ", ")
            throw Mistake("\(text.quoted) is no size; write a whole number with one of \(names), such as \"1MiB\"")
        }
        guard let number = Int(digits), number <= 1_000_000_000 else {
            throw Mistake("\(text.quoted) is too large")
        }
        return number * unit.bytes
    }

    /// In the largest unit that leaves a whole number.
    package static func write(_ bytes: Int) -> String {
        let unit = bytes == 0 ? units[0] : units.last { bytes % $0.bytes == 0 } ?? units[0]
        return "\(bytes / unit.bytes)\(unit.name)"
    }
}
