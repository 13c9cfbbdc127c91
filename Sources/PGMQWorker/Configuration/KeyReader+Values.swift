import Glibc
import TOMLKit

extension KeyReader {
    func text(_ key: String, expected: String = "a string") -> ConfigurationText? {
        setting(key, default: nil) { entry throws(Mistake) in
            try self.text(entry, expected: expected)
        }
    }

    /// A text that no message quotes.
    func secret(_ key: String) -> Secret? {
        setting(key, default: nil) { entry throws(Mistake) in
            let text = try self.text(entry, expected: "a string")
            guard !text.value.isEmpty else { throw Mistake("must not be empty") }
            return Secret(text.value)
        }
    }

    func boolean(_ key: String, default fallback: Bool) -> Bool {
        setting(key, default: fallback) { entry throws(Mistake) in
            guard let value = entry.value.bool else { throw Self.wrongType(entry, expected: "true or false") }
            return value
        }
    }

    func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        setting(key, default: fallback) { entry throws(Mistake) in
            guard let value = entry.value.int else { throw Self.wrongType(entry, expected: "a whole number") }
            return try Self.within(range, value, written: "\(value)") { "\($0)" }
        }
    }

    func number(_ key: String, default fallback: Double, in range: ClosedRange<Double>) -> Double {
        setting(key, default: fallback) { entry throws(Mistake) in
            guard let value = entry.value.double ?? entry.value.int.map(Double.init) else {
                throw Self.wrongType(entry, expected: "a number")
            }
            return try Self.within(range, value, written: "\(value)") { "\($0)" }
        }
    }

    func duration(_ key: String, default fallback: Duration, in range: ClosedRange<Duration>) -> Duration {
        setting(key, default: fallback) { entry throws(Mistake) in
            let text = try self.text(entry, expected: "a duration in quotes, such as \"30s\"")
            let value = try text.parsed(DurationText.parse)
            return try Self.within(range, value, written: text.shown, DurationText.write)
        }
    }

    func size(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        setting(key, default: fallback) { entry throws(Mistake) in
            if let bytes = entry.value.int {
                return try Self.within(range, bytes, written: "\(bytes)", SizeText.write)
            }
            let text = try self.text(entry, expected: "a size such as \"1MiB\", or a number of bytes")
            let value = try text.parsed(SizeText.parse)
            return try Self.within(range, value, written: text.shown, SizeText.write)
        }
    }

    /// One of an enumeration's raw values.
    func choice<Value: RawRepresentable & CaseIterable>(
        _ key: String,
        default fallback: Value
    ) -> Value where Value.RawValue == String {
        setting(key, default: fallback) { entry throws(Mistake) in
            let text = try self.text(entry, expected: "a string")
            if let value = Value(rawValue: text.value) { return value }
            let names = Value.allCases.map(\.rawValue)
            throw Mistake(
                "\(text.shown) is none of \(names.joined(separator: ", "))"
                    + NearestName.hint(text.isLiteral ? text.value : "", among: names)
            )
        }
    }

    /// The reader of a table inside this one.
    func table(_ key: String, expected: String) -> KeyReader? {
        setting(key, default: nil) { entry throws(Mistake) in
            guard let table = entry.value.table else { throw Self.wrongType(entry, expected: expected) }
            return KeyReader(Layer(table: table, place: entry.place), context: self.context)
        }
    }

    /// All keys of this table, whatever they are; the values are strings.
    ///
    /// - Parameter check: throws where a key cannot be one.
    func texts(_ check: (String) throws(Mistake) -> Void) -> [String: String] {
        var texts: [String: String] = [:]
        for key in keys {
            texts[key] = setting(key, default: nil) { entry throws(Mistake) in
                try check(key)
                return try text(entry, expected: "a string").value
            }
        }
        return texts
    }

    func text(_ entry: Entry, expected: String) throws(Mistake) -> ConfigurationText {
        guard let written = entry.value.string else { throw Self.wrongType(entry, expected: expected) }
        return ConfigurationText(written: written, value: try context.values.expand(written))
    }

    /// The absolute path of a folder that this user may enter.
    ///
    /// - Parameter advice: what to do where there is no such folder.
    func folder(_ entry: Entry, advice: String? = nil) throws(Mistake) -> ConfigurationText {
        let text = try text(entry, expected: "a path")
        guard text.value.hasPrefix("/") else { throw Mistake("\(text.shown) does not begin with /") }
        switch Disk.kind(of: text.value) {
        case .folder: break
        case .nothing: throw Mistake("there is no folder \(text.shown)\(advice.map { "; " + $0 } ?? "")")
        case .hidden(let code): throw Mistake("\(text.shown) cannot be looked at: \(Disk.refusal(code))")
        case .file, .other: throw Mistake("\(text.shown) is not a folder")
        }
        guard Disk.isExecutable(text.value) else {
            throw Mistake("\(text.shown) cannot be entered: \(Disk.refusal(errno))")
        }
        return text
    }

    static func wrongType(_ entry: Entry, expected: String) -> Mistake {
        Mistake("expected \(expected), got \(name(of: entry.value.type))")
    }

    private static func within<Value: Comparable>(
        _ range: ClosedRange<Value>,
        _ value: Value,
        written: String,
        _ write: (Value) -> String
    ) throws(Mistake) -> Value {
        guard range.contains(value) else {
            throw Mistake("\(written) is not from \(write(range.lowerBound)) to \(write(range.upperBound))")
        }
        return value
    }

    private static func name(of type: TOMLType) -> String {
        switch type {
        case .table: "a table"
        case .array: "an array"
        case .string: "a string"
        case .int: "a whole number"
        case .double: "a floating-point number"
        case .bool: "true or false"
        case .date: "a date"
        case .time: "a time"
        case .dateTime: "a date and time"
        }
    }
}
