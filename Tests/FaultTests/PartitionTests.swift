import Foundation
import PGMQ
import Postgres
import Synchronization
import TestSupport
import Testing

/// Queues of many partitions: worked on the partitions themselves, or through the parent with their ranges.
@Suite(.serialized) struct PartitionTests {
    /// Of ten ids each, but the last, which takes the rest.
    private static func create(_ database: TestDatabase, partitions: Int = 5) async throws {
        try await database.sql("select pgmq.create('parts_dlq')")
        try await database.sql("select pgmq.create('like_this')")
        try await database.sql(
            """
            create table pgmq.q_parts (like pgmq.q_like_this including defaults including identity)
            partition by range (msg_id)
            """
        )
        for part in 0..<partitions {
            let end = part == partitions - 1 ? "maxvalue" : "\((part + 1) * 10)"
            try await database.sql(
                "create table pgmq.q_parts_p\(part) partition of pgmq.q_parts for values from (\(part * 10)) to (\(end))"
            )
        }
        try await database.sql("create index on pgmq.q_parts (msg_id)")
        try await database.sql("create index on pgmq.q_parts (vt)")
        try await database.sql("insert into pgmq.meta values ('parts', true, false)")
        _ = try await database.connected { try await Schema($0).hangDoorbell(on: QueueName("parts")) }
    }

    /// The statements of a daemon, as they go over the wire.
    private static func watched(_ server: TestServer) throws -> (proxy: PostgresProxy, seen: @Sendable () -> [String]) {
        let proxy = try PostgresProxy(to: server)
        let seen = Mutex<[String]>([])
        proxy.onPipeline { text in
            seen.withLock { $0.append(text) }
            return .pass
        }
        return (proxy, { seen.withLock { $0 } })
    }

    @Test func `partitions are worked one by one and what is due in older ones is found`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await Self.create(database)
        let (proxy, seen) = try Self.watched(server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings.patient(
            database,
            queue: "parts",
            workers: 4,
            extra: [#"backoff = { first = "10ms" }"#, "max_attempts = 3"]
        )
        settings.url = proxy.url(database)
        // Messages 1 to 9 lie in the first partition, and most of the others in the last.
        try await database.send(
            "parts",
            [#"{"fail":2}"#, #"{"deadLetter":"no"}"#] + Array(repeating: "{}", count: 1500)
        )
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("all are settled") { try await database.count("parts") == 0 }
        #expect(ledger.runs[1] == 3)
        #expect(ledger.runs.values.count { $0 == 1 } == 1501)
        #expect(try await database.count("parts_dlq") == 1)
        let claims = seen().filter { $0.contains(Mark.claim) }
        #expect(claims.contains { $0.contains("from \"pgmq\".\"q_parts_p4\" q") }, "on the partition itself")
        #expect(seen().contains { $0.contains("delete from \"pgmq\".\"q_parts_p4\" q") && $0.contains("q.ctid") })
        // While the last partition is busy, one in the first becomes due again.
        try await database.sql(
            "insert into pgmq.q_parts (msg_id, read_ct, enqueued_at, vt, message) overriding system value "
                + "values (5, 1, now() - interval '1 day', now() - interval '1 hour', '{}')"
        )
        try await database.send("parts", Array(repeating: "{}", count: 1500))
        try await eventually("all are settled") { try await database.count("parts") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(!daemon.log.contains("lease lost"))
    }

    @Test func `a role that may not touch the partitions works through the parent and is told how to be quicker`()
        async throws
    {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await Self.create(database)
        let role = "worker_\(database.name)"
        try await database.sql("create role \(role) login")
        let options = QueueOptions(
            visibilityTimeout: .seconds(60),
            maxMessageBytes: 1 << 20,
            archives: false,
            durable: true,
            deadLetter: QueueName("parts_dlq")
        )
        let grants = try await database.connected {
            try await Grants($0, role: role).statements(for: [(QueueName("parts"), options)])
        }
        let onPartitions = grants.filter { $0.contains("q_parts_p") }
        #expect(onPartitions.count == 5)
        for statement in grants where !statement.contains("q_parts_p") { try await database.sql(statement) }
        let (proxy, seen) = try Self.watched(server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings.patient(database, queue: "parts", workers: 4, extra: [#"backoff = { first = "10ms" }"#])
        settings.url = proxy.url(database).replacing("user=postgres", with: "user=\(role)")
        try await database.send("parts", [#"{"fail":1}"#] + Array(repeating: "{}", count: 1500))
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("all are settled") { try await database.count("parts") == 0 }
        #expect(seen().contains { $0.contains(Mark.claim) && $0.contains("q.\"msg_id\" operator(pg_catalog.>=) '40'") })
        #expect(!seen().contains { $0.contains("from \"pgmq\".\"q_parts_p4\"") })
        let folder = try TestFolder()
        var direct = Settings(database, queue: "parts", handler: "{ discard = true }")
        direct.url = database.url.replacing("user=postgres", with: "user=\(role)")
        let file = try folder.write("pgmqd.toml", direct.text)
        let before = try await ProgramRun(["check", "--connect", "-c", file])
        #expect(before.code == 0 && before.text.contains("through the parent"), "\(before)")
        for statement in onPartitions { try await database.sql(statement) }
        let after = try await ProgramRun(["check", "--connect", "-c", file])
        #expect(after.code == 0 && after.text.contains("5 partitions are worked one by one"), "\(after)")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.count { $0 == 1 } == 1500)
    }

    @Test(arguments: ["drop table pgmq.q_parts_p4", "alter table pgmq.q_parts detach partition pgmq.q_parts_p4"])
    func `a partition that goes with leases in hand ends them once and stops nothing else`(how: String) async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await Self.create(database, partitions: 6)
        let ledger = Ledger()
        defer { ledger.remove() }
        let settings = Settings(
            database,
            queue: "parts",
            workers: 30,
            visibilityTimeout: "60s",
            callDeadline: "15s",
            extra: ["max_attempts = 1"]
        )
        // The messages from 40 to 49 lie in the one that goes.
        try await database.send("parts", Array(repeating: "{}", count: 39))
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("the first ones are done") { try await database.count("parts") == 0 }
        let held = try await database.send("parts", Array(repeating: #"{"gated":1}"#, count: 10))
        #expect(held.first == 40)
        let others = try await database.send("parts", Array(repeating: #"{"gated":1}"#, count: 5))
        try await eventually("all run") { ledger.running.count == 15 }
        try await database.sql(how)
        ledger.openGate()
        try await eventually("the others are done") { try await database.count("parts") == 0 }
        let later = try await database.send("parts", Array(repeating: "{}", count: 20))
        try await eventually("later ones are done") { try await database.count("parts") == 0 }
        #expect(try await daemon.stop() == 0)
        let runs = ledger.runs
        #expect((held + others + later).allSatisfy { runs[$0] == 1 })
        #expect(!daemon.log.contains("queue paused"))
        #expect(try await database.count("parts_dlq") == 0)
        if how.hasPrefix("drop") {
            #expect(daemon.log.components(separatedBy: "partitions gone").count == 2)
        }
    }
}
