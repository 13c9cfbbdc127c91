import ArgumentParser
import Foundation
import PGMQWorker
import Postgres

/// Which database a one-shot command speaks to: the configuration's, or one named by hand.
struct DatabaseOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: "The configuration file that names the database (default: \(DaemonProgram.defaultPath))."
    )
    var config: String?

    @Option(
        help: """
            A PostgreSQL connection string, before all others; a password belongs in ~/.pgpass. Without it and without \
            -c the one in PGMQD_DATABASE_URL, and then the default configuration file's.
            """
    )
    var database: String?

    /// Runs the closure with a connection, and closes it. Errors come out as ``Failure``.
    func connected<R: Sendable>(_ body: (Connection) async throws -> R) async throws -> R {
        try await CommandConnection.use(url(), body)
    }

    /// What was asked for in the command goes before what lies about.
    func url() throws -> String {
        if let database { return database }
        if let loaded = try configuration() { return loaded.database.url.value }
        if let url = Self.urlOfEnvironment ?? DevState.runningURL() { return url }
        throw Failure.usage("which database? name a configuration with -c, or a connection string with --database")
    }

    /// The configuration that was named, or else the default one where nothing else names the database.
    func configuration() throws -> Configuration? {
        if let config { return try .ofCommand(config) }
        guard database == nil, Self.urlOfEnvironment == nil,
            FileManager.default.fileExists(atPath: DaemonProgram.defaultPath)
        else { return nil }
        return try .ofCommand(DaemonProgram.defaultPath)
    }

    /// Set to nothing is as good as not set.
    private static var urlOfEnvironment: String? {
        let url = ProcessInfo.processInfo.environment["PGMQD_DATABASE_URL"]
        return url == "" ? nil : url
    }
}
