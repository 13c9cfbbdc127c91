import ArgumentParser
import PGMQWorker
import Postgres

/// The configuration whose queues a command prepares or looks at, and whom it connects as.
struct SetUpOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The configuration file.")
    var config: String = DaemonProgram.defaultPath

    @Option(
        help: """
            Connect with this PostgreSQL connection string instead of the configuration's, whose user is the daemon's \
            and owns nothing. A password belongs in ~/.pgpass.
            """
    )
    var database: String?

    /// Runs the closure with a connection, and closes it. Errors come out as ``Failure``.
    func connected<R: Sendable>(
        _ loaded: Configuration,
        _ body: (Connection) async throws -> R
    ) async throws -> R {
        try await CommandConnection.use(database ?? loaded.database.url.value, body)
    }
}
