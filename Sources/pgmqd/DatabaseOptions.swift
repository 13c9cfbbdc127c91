import ArgumentParser
import Foundation
import PGMQWorker
import Postgres

/// Which database a one-shot command speaks to: the configuration's, or one named by hand.
struct DatabaseOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The configuration file that names the database.")
    var config: String = DaemonProgram.defaultPath

    @Option(
        help:
            "A PostgreSQL connection string instead; also taken from PGMQD_DATABASE_URL. A password belongs in ~/.pgpass."
    )
    var database: String?

    /// Runs the closure with a connection, and closes it. Errors come out as ``Failure``.
    func connected<R: Sendable>(_ body: (Connection) async throws -> R) async throws -> R {
        let url = try url()
        do {
            let connection = try await Connection.open(url: url, application: "pgmqd command", deadline: .seconds(10))
            do {
                let result = try await body(connection)
                await connection.close()
                return result
            } catch {
                await connection.close()
                throw error
            }
        } catch let error as PostgresError {
            throw Failure.database(error)
        }
    }

    func url() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let database { return database }
        if let url = environment["PGMQD_DATABASE_URL"] { return url }
        if config == DaemonProgram.defaultPath, !FileManager.default.fileExists(atPath: config) {
            if let url = DevState.runningURL() { return url }
            throw Failure(
                message: "which database? name a configuration with -c, or a connection string with --database",
                code: 64
            )
        }
        do {
            return try Configuration.load(path: config, environment: environment).database.url.value
        } catch {
            throw Failure.configuration(error)
        }
    }
}
