import CLibPQ

extension Connection {
    /// Runs several statements given as one text, in one transaction. For migrations: it takes no parameters.
    ///
    /// The simple protocol, which alone takes several statements at once, cannot be used in pipeline mode, and a
    /// script's statements cannot be told apart by looking for semicolons. So the server does it: PL/pgSQL's
    /// `execute` accepts a whole script.
    public func script(_ sql: String, deadline: Duration) async throws(PostgresError) -> [Rows] {
        let literal = try quote(literal: sql)
        let block = try quote(literal: "begin execute \(literal); end")
        return try await run([Statement("do \(block)")], deadline: deadline)
    }
}
