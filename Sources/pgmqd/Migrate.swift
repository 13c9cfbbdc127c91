import ArgumentParser
import Foundation
import PGMQ
import PGMQWorker
import Postgres

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make our schema in the database, and hang doorbells on the configured queues.",
        discussion: """
            Can be repeated, and does only what is missing. Run it as the owner of the queues: the daemon's own role \
            needs no such rights. A partitioned queue's missing indexes are printed, to be made by hand.
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Print the schema's SQL and change nothing.")
    var sql = false

    @Flag(help: "Also create the configured queues and dead-letter queues that do not exist.")
    var createQueues = false

    func run() async throws {
        if sql { return Output.line(Schema.script()) }
        let loaded: Configuration
        do {
            loaded = try Configuration.load(path: options.config, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw Failure.configuration(error)
        }
        do throws(PostgresError) {
            let connection = try await Connection.open(url: loaded.database.url.value, deadline: .seconds(10))
            let done = try await Migration(schema: Schema(connection), createsQueues: createQueues).run(loaded.queues)
            await connection.close()
            for line in done { Output.line(line) }
            if done.isEmpty { Output.line("nothing to do") }
        } catch {
            throw Failure.database(error)
        }
    }
}
