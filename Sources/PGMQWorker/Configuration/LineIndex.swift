/// The lines on which the keys of a TOML text stand. TOMLKit does not tell them.
///
/// Best effort, for a text that the parser has accepted: a key that is written with escapes has no line.
package struct LineIndex: Sendable {
    private let lines: [[PathStep]: Int]
    /// The lines of strings with a `\u0000`.
    package let nulLines: [Int]

    package init(_ text: String) {
        var scanner = LineScanner(text)
        scanner.scan()
        self.lines = scanner.lines
        self.nulLines = scanner.nulLines
    }

    /// Counted from 1.
    package func line(of path: [PathStep]) -> Int? {
        lines[path]
    }
}
