/// `${NAME}`, `${credential:NAME}` and the escape `$${` inside a string.
package enum Interpolation {
    package enum Reference: Sendable, Hashable {
        case variable(String)
        case credential(String)
    }

    package enum Part: Sendable, Hashable {
        case literal(String)
        case reference(Reference)
        /// A `${` that names nothing. What stands in it is not kept: it may be part of a secret.
        case malformed
    }

    package static func parts(of text: String) -> [Part] {
        let bytes = Array(text.utf8)
        var parts: [Part] = []
        var literal: [UInt8] = []
        var at = 0
        while at < bytes.count {
            let rest = bytes[at...]
            if rest.starts(with: "$${".utf8) {
                literal += "${".utf8
                at += 3
            } else if rest.starts(with: "${".utf8) {
                if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
                literal = []
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                    return parts + [.malformed]
                }
                let name = String(decoding: bytes[(at + 2)..<end], as: UTF8.self)
                parts.append(reference(name).map(Part.reference) ?? .malformed)
                at = end + 1
            } else {
                literal.append(bytes[at])
                at += 1
            }
        }
        if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
        return parts
    }

    private static func reference(_ text: String) -> Reference? {
        let prefix = "credential:"
        if text.hasPrefix(prefix) {
            let name = String(text.dropFirst(prefix.count))
            // It becomes a file name, so it must not lead anywhere else.
            let isPlain = name.utf8.allSatisfy { isNameByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
            return isPlain && !name.isEmpty && name != "." && name != ".." ? .credential(name) : nil
        }
        return isVariableName(text) ? .variable(text) : nil
    }

    package static func isVariableName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
