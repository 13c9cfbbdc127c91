extension String {
    /// A database's reason as the log and the status line may tell it. The whole of it is in the journal and beside the
    /// dead letter, because it may quote the message: a value that does not fit its type (class 22), or what a trigger or
    /// a function of the users' raises, which is told as far as its first quote or colon.
    package var loggableReason: String {
        guard let code = matches(of: /\(([0-9A-Z]{5})\)/).last?.output else { return self }
        let kind = String(code.1.prefix(2))
        if kind == "22" { return replacing(/"[^"]*"?/, with: "\"…\"") }
        if Self.serversOwn.contains(kind) { return self }
        let words = prefix { !":\"'{[(".contains($0) }.trimmed
        return prefix(upTo: code.0.startIndex).count > words.count + 1 ? "\(words)… \(code.0)" : self
    }

    /// Classes of SQLSTATE whose messages name relations, rights and resources, and no values.
    private static let serversOwn: Set = [
        "08", "0A", "21", "23", "25", "26", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
    ]
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
