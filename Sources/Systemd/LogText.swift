import Logging

/// How values become text that stays on its line and cannot drive a terminal.
package enum LogText {
    /// Line breaks of every kind, all other control characters, and the marks that reverse the reading direction.
    package static func breaksLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    /// The text with what ``breaksLine(_:)`` finds written as `\n`, `\t` or `\u{1b}`.
    package static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: breaksLine) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where breaksLine(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// ` key=value key=value`, with values in quotes where they would not be told apart otherwise.
    package static func suffix(_ fields: [LogField]) -> String {
        fields.map { " \(escaped($0.key))=\(value($0.value))" }.joined()
    }

    private static func value(_ value: Logger.MetadataValue) -> String {
        let text: String
        switch value {
        case .string(let string): text = string
        case .stringConvertible(let convertible): text = convertible.description
        case .dictionary, .array: return escaped(JSONText.value(value))
        }
        let plain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        if plain { return escaped(text) }
        let quoted = text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "\"\(escaped(String(quoted)))\""
    }
}
