import ArgumentParser
import Foundation
import PGMQ
import PGMQWorker
import Postgres

struct GrantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grants",
        abstract: "Print the rights that the daemon's role needs, and no more.",
        discussion: """
            Reads the database, whose PGMQ version decides the columns, and changes nothing. To apply them, as the owner \
            of the queues: pgmqd grants --role pgmqd | psql app
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The role that the daemon logs in as.")
    var role = "pgmqd"

    func run() async throws {
        let loaded: Configuration
        do {
            loaded = try Configuration.load(path: options.config, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw Failure.configuration(error)
        }
        do throws(PostgresError) {
            let connection = try await Connection.open(url: loaded.database.url.value, deadline: .seconds(10))
            let queues = loaded.queues.map { (name: QueueName($0.writtenName), options: QueueOptions($0)) }
            let statements = try await Grants(connection, role: role).statements(for: queues)
            await connection.close()
            for statement in statements { Output.line(statement) }
        } catch {
            throw Failure.database(error)
        }
    }
}
