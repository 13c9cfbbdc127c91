import ArgumentParser
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

            The daemon's role cannot look at all that `pgmqd queues`, `peek` and `dlq` show. --operator prints what a \
            role needs that may: pgmqd grants --operator --role alice | psql app
            """
    )

    @OptionGroup var options: SetUpOptions

    @Option(help: "The role that the daemon logs in as (default: pgmqd), or with --operator the one that looks.")
    var role: String?

    @Flag(name: .customLong("operator"), help: "The rights to look at all queues of the database, and change nothing.")
    var isForOperator = false

    func validate() throws {
        guard role != nil || !isForOperator else {
            throw ValidationError("--operator wants --role: the daemon's own role is not to read more than it must")
        }
    }

    func run() async throws {
        let loaded = try Configuration.ofCommand(options.config)
        let statements = try await options.connected(loaded) { connection in
            let grants = Grants(connection, role: role ?? "pgmqd")
            if isForOperator { return try await grants.operatorStatements() }
            return try await grants.statements(
                for: loaded.queues.map { (name: QueueName($0.writtenName), options: QueueOptions($0)) }
            )
        }
        for statement in statements { try Output.line(statement) }
    }
}
