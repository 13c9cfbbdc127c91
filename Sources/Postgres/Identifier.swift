import CLibPQ

extension Connection {
    /// Quotes a name for use as an SQL identifier. libpq does it, and knows the connection's encoding.
    public func quote(identifier: String) throws(PostgresError) -> String {
        try quoted(identifier, PQescapeIdentifier)
    }

    /// Quotes a text for use as an SQL literal, where a statement takes no parameters (NOTIFY, LISTEN, DDL).
    public func quote(literal: String) throws(PostgresError) -> String {
        try quoted(literal, PQescapeLiteral)
    }
}
