import Foundation

/// What went wrong on a connection, and how far it is known what the server did.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The server answered with an error; the transaction is rolled back and the connection usable.
        case server
        /// The connection is gone. Whether a transaction in flight was committed is unknown.
        case connection
        /// The call's deadline passed, and the connection was closed. Unknown as above.
        case deadline
        /// The calling task was cancelled, and the connection was closed. Unknown as above.
        case cancelled
    }

    public var kind: Kind
    /// Five characters, where the server gave them.
    public var sqlState: SQLState?
    public var message: String
    public var detail: String?
    public var hint: String?
    /// The statement of the transaction that failed, from 0; nil where the commit or the connection did.
    public var statement: Int?

    public init(
        _ kind: Kind,
        sqlState: SQLState? = nil,
        message: String,
        detail: String? = nil,
        hint: String? = nil,
        statement: Int? = nil
    ) {
        self.kind = kind
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
        self.statement = statement
    }

    public static let malformedConnectionString =
        "libpq does not understand the connection string; a % @ / or : in a password is written %25 %40 %2F %3A in a URL"

    /// For logs. Without the detail: the server quotes the failing row there, and with it the message's body.
    public var description: String {
        var text = message
        if let sqlState { text += " (\(sqlState))" }
        if let hint { text += "; hint: \(hint)" }
        return text
    }
}

extension PostgresError {
    /// The server is there and lets us not in, for reasons of role, password or database.
    ///
    /// libpq before 17 tells no SQLSTATE of a failed connection, so this reads the server's words, and libpq's own where
    /// a password was asked for and none known. In another language they are not known, and a refusal is taken for an
    /// outage: the safe side.
    public var refusesLogin: Bool {
        guard kind == .connection else { return false }
        // One sentence a host. Where another host is merely away, that one may be the one that lets us in.
        let hosts = message.components(separatedBy: "connection to server").dropFirst()
        return !hosts.isEmpty && hosts.allSatisfy(Self.isRefusal)
    }

    /// Not of LDAP, PAM or RADIUS, whose servers may be away.
    private static func isRefusal(_ words: String) -> Bool {
        if words.contains("no password supplied") { return true }
        let whoever = ["password", "Peer", "Ident"].map { "\($0) authentication failed" }
        let whatever = [
            "no pg_hba.conf entry", "pg_hba.conf rejects", "does not exist", "is not permitted to log in",
            "permission denied for database",
        ]
        return words.contains("FATAL:") && (whoever + whatever).contains { words.contains($0) }
    }
}

/// A five-character SQLSTATE.
public struct SQLState: Sendable, Hashable, CustomStringConvertible {
    public let code: String

    public init(_ code: String) {
        self.code = code
    }

    /// The first two characters.
    public var errorClass: String { String(code.prefix(2)) }

    public var description: String { code }
}
