/// Durations as the configuration writes them: `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`.
package enum DurationText {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    package static func parse(_ text: String) throws(Mistake) -> Duration {
        let digits = text.prefix { ("0"..."9").contains($0) }
        let name = text.dropFirst(digits.count)
        guard !digits.isEmpty, let unit = units.first(where: { $0.name == name }) else {
            throw Mistake("\(text.quoted) is no duration; write a whole number with ms, s, m, h or d, such as \"30s\"")
        }
        // Far above every bound there is, so that nothing overflows on the way to being refused.
        guard let number = Int64(digits), number <= 1_000_000_000 else {
            throw Mistake("\(text.quoted) is too long a duration")
        }
        return .milliseconds(number * unit.milliseconds)
    }

    /// In the largest unit that leaves a whole number; to the millisecond.
    package static func write(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        guard milliseconds != 0 else { return "0s" }
        let unit = units.last { milliseconds % $0.milliseconds == 0 } ?? units[0]
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }
}
