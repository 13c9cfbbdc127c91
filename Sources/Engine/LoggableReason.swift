extension String {
    /// A database's reason as the log and the status line may tell it. The whole of it is in the journal and beside the
    /// dead letter, because it may quote the message: a value that does not fit its type (class 22), or whatever a
    /// trigger or a function of the users' raises.
    package var loggableReason: String {
        guard let code = matches(of: /\(([0-9A-Z]{5})\)/).last?.output.1 else { return self }
        let kind = String(code.prefix(2))
        if kind == "22" { return replacing(/"[^"]*"?/, with: "\"…\"") }
        if Self.serversOwn.contains(kind) { return self }
        return "the database raises an exception of its users' (\(code)); pgmqd.journal tells the rest"
    }

    /// Classes of SQLSTATE whose messages name relations, rights and resources, and no values.
    private static let serversOwn: Set = [
        "08", "0A", "21", "23", "25", "26", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
    ]
}
