import Engine
import Logging
import PGMQ
import Postgres
import QueueModel
import TestSupport

/// A database with two daemons' connections and two other clients, in which one list of operations after the other is
/// executed.
final class Lane: Sendable {
    /// Names of the daemons in the journal, by their numbers in the model.
    static let daemons = ["first", "second"]

    let database: TestDatabase
    /// Each of its statements is committed at once.
    let client: Connection
    /// Its transaction may stay open for some time.
    let dawdler: Connection
    private let connections: [PGMQ.Database]
    private let running: [Task<Void, Never>]

    init() async throws {
        database = try await TestServer.common().database()
        try await database.createQueue("modern", bell: false)
        try await database.createQueue("older", bell: false)
        for table in ["q_older", "a_older", "q_older_dlq", "a_older_dlq"] {
            try await database.sql("alter table pgmq.\(table) drop column if exists last_read_at")
        }
        client = try await Connection.open(url: database.url, application: "test", deadline: .seconds(60))
        dawdler = try await Connection.open(url: database.url, application: "test", deadline: .seconds(60))
        let url = database.url
        connections = Self.daemons.map { name in
            PGMQ.Database(
                settings: .init(url: url, callDeadline: .seconds(10), workConnections: 1),
                identity: DaemonIdentity(daemon: name, host: "test", version: "test"),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }
        running = connections.map { database in Task { await database.run() } }
    }

    func close() async {
        for task in running { task.cancel() }
        for task in running { await task.value }
        await client.close()
        await dawdler.close()
    }

    /// An empty queue whose ids begin at 1.
    func queue(_ settings: QueueModel.Settings, archives: Bool) async throws -> RealQueue {
        let name = QueueName(settings.hasLastReadAt ? "modern" : "older")
        let deadLetter = QueueName(QueueName.deadLetter(of: name.folded))
        let tables = [name.table, name.archive, deadLetter.table].map { "pgmq.\($0)" } + ["pgmqd.journal"]
        _ = try await dawdler.run([Statement("rollback")], deadline: .seconds(30))
        _ = try await client.run(
            [Statement("truncate \(tables.joined(separator: ", ")) restart identity")],
            deadline: .seconds(30)
        )
        let options = QueueOptions(
            visibilityTimeout: settings.visibilityTimeout,
            maxMessageBytes: settings.maxMessageBytes,
            archives: archives,
            durable: true,
            deadLetter: deadLetter,
            suspectedAfter: min(settings.suspectedAfter, Int(Int32.max))
        )
        return RealQueue(
            name: name,
            hasLastReadAt: settings.hasLastReadAt,
            ports: connections.map { PGMQQueue(name: name, options: options, database: $0) },
            client: client,
            dawdler: dawdler
        )
    }
}
