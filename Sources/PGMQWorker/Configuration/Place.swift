/// Where a value stands, or would stand if it were there.
struct Place {
    let file: ConfigurationFile
    let steps: [PathStep]
    /// The path as a person reads it: `queue "emails".backoff.first`.
    let shown: String

    func key(_ name: String) -> Place {
        let written = name.isBareKey ? name : name.quoted
        return Place(
            file: file,
            steps: steps + [.key(name)],
            shown: shown.isEmpty ? written : "\(shown).\(written)"
        )
    }

    /// Shown from 1, as one counts.
    func index(_ number: Int) -> Place {
        Place(file: file, steps: steps + [.index(number)], shown: "\(shown)[\(number + 1)]")
    }

    func shown(as text: String) -> Place {
        Place(file: file, steps: steps, shown: text)
    }

    /// Whether the file has the key itself.
    var isWritten: Bool { file.lines.line(of: steps) != nil }

    /// The line of the value, else of the innermost table around it.
    var line: Int? {
        var left = steps[...]
        while !left.isEmpty {
            if let line = file.lines.line(of: Array(left)) { return line }
            left = left.dropLast()
        }
        return nil
    }

    /// `file:line`, to point at from elsewhere.
    var location: String {
        line.map { "\(file.path):\($0)" } ?? file.path
    }

    func problem(_ message: String) -> ConfigurationError.Problem {
        .init(file: file.path, line: line, key: shown.isEmpty ? nil : shown, message: message)
    }
}
