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
