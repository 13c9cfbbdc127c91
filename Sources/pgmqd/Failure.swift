import PGMQWorker
import Postgres

/// Why a command did not do what was asked, and the exit code that says so.
struct Failure: Error {
    let message: String
    let code: Int32

    /// For where all has been said, or nobody listens.
    static let silent = Failure(message: "", code: 1)
    static func failed(_ message: String) -> Failure { Failure(message: message, code: 1) }
    static func usage(_ message: String) -> Failure { Failure(message: message, code: 64) }
    static func configuration(_ error: ConfigurationError) -> Failure { Failure(message: "\(error)", code: 78) }
    static func unreachable(_ reason: String) -> Failure {
        Failure(message: "the database cannot be reached: \(reason)", code: 69)
    }

    static func database(_ error: PostgresError) -> Failure {
        switch (error.kind, error.sqlState?.code) {
        case (.connection, _) where error.letsNobodyIn, (.server, "28000"), (.server, "28P01"):
            Failure(message: "the server does not let this user into the database: \(error)", code: 77)
        case (.connection, _) where error.message == PostgresError.malformedConnectionString:
            Failure(message: error.message, code: 78)
        case (.connection, _):
            .unreachable("\(error)")
        case (.deadline, _):
            Failure(message: "the database did not answer in time: \(error)", code: 69)
        case (.cancelled, _):
            .failed("interrupted: \(error)")
        case (.server, "42501"):
            Failure(
                message: "not permitted: \(error); --database connects as another role, and `pgmqd grants` prints what "
                    + "the daemon's needs, with --operator what one needs that looks",
                code: 77
            )
        case (.server, "3F000"), (.server, "42P01"):
            .failed("\(error); is PGMQ installed in this database, and does the queue exist? see `pgmqd queues`")
        case (.server, _):
            .failed("\(error)")
        }
    }
}

extension PostgresError {
    /// Before version 17 libpq tells no SQLSTATE of a connection that failed, so this reads the server's words, and
    /// libpq's own where a password was asked for and none known. More than what ends a daemon (`refusesLogin`): a command
    /// does not wait for a directory service to come back, nor for the end of maintenance.
    fileprivate var letsNobodyIn: Bool {
        [
            "authentication failed", "no pg_hba.conf entry", "pg_hba.conf rejects", "no password supplied",
            "is not permitted to log in", "FATAL:  permission denied for database",
        ].contains { message.contains($0) }
            || message.contains("FATAL:") && message.contains("role \"") && message.contains("does not exist")
    }
}
