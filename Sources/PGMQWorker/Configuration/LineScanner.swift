/// Walks over a TOML text and notes where each key begins.
struct LineScanner {
    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    /// The table that the last header opened.
    private var table: [PathStep] = []
    /// How many `[[…]]` there were of each path.
    private var counts: [[PathStep]: Int] = [:]
    private(set) var lines: [[PathStep]: Int] = [:]
    private(set) var nulLines: [Int] = []

    init(_ text: String) {
        self.bytes = Array(text.utf8)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    }

    mutating func scan() {
        while true {
            skipBlank()
            guard let byte = peek else { return }
            let start = at
            if byte == UInt8(ascii: "[") { header() } else { pair(under: table) }
            // Whatever this was, it must not hold us up.
            if at == start { advance() }
        }
    }

    private mutating func header() {
        advance()
        let isArray = peek == UInt8(ascii: "[")
        if isArray { advance() }
        let names = dottedKey()
        guard let last = names.last else { return }
        var path: [PathStep] = []
        for name in names.dropLast() {
            path.append(.key(name))
            note(path)
            if let count = counts[path] { path.append(.index(count - 1)) }
        }
        path.append(.key(last))
        note(path)
        if isArray {
            path.append(.index(counts[path, default: 0]))
            counts[Array(path.dropLast()), default: 0] += 1
            note(path)
        }
        table = path
        while let byte = peek, byte == UInt8(ascii: "]") || byte == UInt8(ascii: " ") { advance() }
    }

    private mutating func pair(under table: [PathStep]) {
        var path = table
        for name in dottedKey() {
            path.append(.key(name))
            note(path)
        }
        guard peek == UInt8(ascii: "=") else { return }
        advance()
        value(at: path)
    }

    private mutating func value(at path: [PathStep]) {
        skipSpaces()
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): _ = string()
        case UInt8(ascii: "["): array(at: path)
        case UInt8(ascii: "{"): inlineTable(at: path)
        default: skip { !",]}#\n".utf8.contains($0) }
        }
    }

    private mutating func array(at path: [PathStep]) {
        advance()
        var number = 0
        while true {
            skipBlank()
            guard let byte = peek else { return }
            if byte == UInt8(ascii: "]") { return advance() }
            if byte == UInt8(ascii: ",") {
                advance()
                continue
            }
            let start = at
            note(path + [.index(number)])
            value(at: path + [.index(number)])
            number += 1
            if at == start { advance() }
        }
    }

    private mutating func inlineTable(at path: [PathStep]) {
        advance()
        while true {
            skipBlank()
            guard let byte = peek else { return }
            if byte == UInt8(ascii: "}") { return advance() }
            let start = at
            if byte == UInt8(ascii: ",") { advance() } else { pair(under: path) }
            if at == start { advance() }
        }
    }

    private mutating func dottedKey() -> [String] {
        var names: [String] = []
        while true {
            skipSpaces()
            switch peek {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): names.append(string())
            default:
                let start = at
                skip { !".=]\"' \t\r\n#".utf8.contains($0) }
                names.append(String(decoding: bytes[start..<at], as: UTF8.self))
            }
            skipSpaces()
            guard peek == UInt8(ascii: ".") else { return names }
            advance()
        }
    }

    /// What stands between the quotes, escapes as written.
    private mutating func string() -> String {
        guard let quote = peek else { return "" }
        let isBasic = quote == UInt8(ascii: "\"")
        let triple = [quote, quote, quote]
        let isLong = bytes[at...].starts(with: triple)
        at += isLong ? 3 : 1
        let start = at
        while let byte = peek {
            if isBasic, byte == UInt8(ascii: "\\") {
                if bytes[at...].starts(with: #"\u0000"#.utf8) || bytes[at...].starts(with: #"\U00000000"#.utf8) {
                    nulLines.append(line)
                }
                advance()
                advance()
            } else if byte == quote, !isLong || bytes[at...].starts(with: triple) {
                break
            } else {
                advance()
            }
        }
        let content = String(decoding: bytes[start..<at], as: UTF8.self)
        // A long string may end in up to two quotes of its own.
        if isLong { skip { $0 == quote } } else { advance() }
        return content
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func note(_ path: [PathStep]) {
        if lines[path] == nil { lines[path] = line }
    }

    private mutating func advance() {
        guard at < bytes.count else { return }
        if bytes[at] == UInt8(ascii: "\n") { line += 1 }
        at += 1
    }

    private mutating func skip(while condition: (UInt8) -> Bool) {
        while let byte = peek, condition(byte) { advance() }
    }

    private mutating func skipSpaces() {
        skip { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    /// White space, line ends and comments.
    private mutating func skipBlank() {
        while true {
            skip { " \t\r\n".utf8.contains($0) }
            guard peek == UInt8(ascii: "#") else { return }
            skip { $0 != UInt8(ascii: "\n") }
        }
    }
}
