import PGMQWorker
import Postgres

/// Why a command did not do what was asked, and the exit code that says so.
struct Failure: Error {
    let message: String
    let code: Int32

    static func failed(_ message: String) -> Failure { Failure(message: message, code: 1) }
    static func usage(_ message: String) -> Failure { Failure(message: message, code: 64) }
    static func configuration(_ error: ConfigurationError) -> Failure { Failure(message: "\(error)", code: 78) }

    static func database(_ error: PostgresError) -> Failure {
        switch (error.kind, error.sqlState?.code) {
        case (.connection, _), (.deadline, _), (.cancelled, _):
            Failure(message: "the database cannot be reached: \(error)", code: 69)
        case (.server, "42501"):
            Failure(message: "not permitted: \(error)", code: 77)
        case (.server, "3F000"), (.server, "42P01"):
            Failure(
                message: "\(error); is PGMQ installed in this database, and does the queue exist? see `pgmqd queues`",
                code: 1
            )
        case (.server, _):
            Failure(message: "\(error)", code: 1)
        }
    }
}
