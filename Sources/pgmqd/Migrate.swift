import ArgumentParser
import PGMQ
import PGMQWorker
import Postgres

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make our schema in the database, and hang doorbells on the configured queues.",
        discussion: """
            Can be repeated, and does only what is missing. Run it as the owner of the queues, whom --database names \
            where the configuration's user is another: the daemon's own role needs no such rights. A partitioned \
            queue's missing indexes are printed as statements, to be run when it suits; all else is printed as SQL \
            comments, so that the output can be piped into psql.
            """
    )

    @OptionGroup var options: SetUpOptions

    @Flag(help: "Print the schema's SQL and change nothing.")
    var sql = false

    @Flag(help: "Also create the configured queues and dead-letter queues that do not exist.")
    var createQueues = false

    func run() async throws {
        if sql { return try Output.line(Schema.script()) }
        let loaded = try Configuration.ofCommand(options.config)
        let done = try await options.connected(loaded) { connection in
            try await Migration(schema: Schema(connection), createsQueues: createQueues).run(loaded.queues)
        }
        for line in done { try Output.line(line.hasSuffix(";") ? line : "-- " + line) }
        if done.isEmpty { try Output.line("-- nothing to do") }
    }
}
