import TOMLKit

/// The TOML parser's messages, which may quote the value they stumbled over.
enum ParserWords {
    /// The message, less what it says of the value if it quotes four or more characters of it: they may be a secret's.
    static func safe(_ message: String, at region: TOMLSourceRegion, in text: String) -> String {
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        // Lines count from 1; the region may end past the last one.
        let first = max(region.begin.line - 1, 0)
        let last = min(max(region.end.line, region.begin.line), lines.count)
        guard first < last else { return message }
        for line in lines[first..<last] {
            let value = line.firstIndex(of: "=").map { line[line.index(after: $0)...] } ?? line
            if shares(message, with: value) {
                return "the value is malformed (is a quotation mark missing?)"
            }
        }
        return message.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func shares(_ message: String, with value: Substring) -> Bool {
        let value = Array(value)
        guard value.count >= 4 else { return false }
        return (0...(value.count - 4)).contains { start in
            let run = value[start..<(start + 4)]
            return !run.allSatisfy { $0.isWhitespace } && message.contains(String(run))
        }
    }
}
