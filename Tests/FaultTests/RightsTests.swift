import PGMQ
import Postgres
import TestSupport
import Testing

/// A role that may do what a daemon does, and nothing else.
@Suite(.serialized) struct RightsTests {
    @Test func `the printed grants suffice and a missing one pauses its own queue with the reason`() async throws {
        let database = try await TestServer.common().database()
        let role = "worker_\(database.name)"
        for queue in ["good", "bare", "closed"] { try await database.createQueue(queue) }
        try await database.sql("create role \(role) login")
        for queue in ["good", "bare"] { try await database.grant(queue, to: role) }
        try await database.sql("revoke delete on pgmq.q_bare from \(role)")
        let ledger = Ledger()
        defer { ledger.remove() }
        let extra = [#"backoff = { first = "10ms" }"#, #"on_success = "archive""#, "max_attempts = 2"]
        var settings = Settings(database, queue: "good", extra: extra)
        for queue in ["bare", "closed"] { settings.add(queue: queue, extra: extra) }
        settings.url = database.url.replacing("user=postgres", with: "user=\(role)")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await database.send("closed", ["{}"])
        try await database.send("bare", ["{}"])
        try await daemon.logged("permission denied for table q_closed")
        try await daemon.logged("permission denied for table q_bare")
        try await daemon.logged("pgmqd grants")
        // The others go on with all they can meet.
        try await database.send("good", Array(repeating: "{}", count: 100))
        try await database.send("good", [#"{"fail":1}"#, #"{"fail":-1}"#, #"{"sleep":4}"#, #"{"snooze":0.1}"#])
        try await eventually("the good queue is worked") { try await database.count("good") == 0 }
        #expect(try await database.count("good_dlq") == 1)
        #expect(try await database.int("select count(*) from pgmq.a_good") == 103)
        #expect(ledger.starts.count { $0.queue == "closed" } == 0)
        #expect(try await database.int("select max(read_ct) from pgmq.q_closed") == 0)
        try await database.grant("bare", to: role)
        try await database.grant("closed", to: role)
        try await eventually("the queues go on") {
            let left = try await [database.count("bare"), database.count("closed")]
            return left == [0, 0]
        }
        #expect(ledger.starts.count { $0.queue == "bare" } == 1)
        #expect(!daemon.log.contains("permission denied for table q_good"))
        #expect(try await daemon.stop() == 0)
    }

    /// Its trigger writes with the rights of who sends, even where it never rings.
    @Test(
        .enabled(if: TestPGMQ.tested.hasNotifications, "PGMQ 1.5 has no notifications"),
        arguments: ["work", "MyQ"]
    )
    func `the printed grants suffice for dead letters into a queue with PGMQ's own notifications`(
        queue: String
    ) async throws {
        let database = try await TestServer.common().database()
        let role = "worker_\(database.name)"
        try await database.createQueue(queue)
        try await database.sql("select pgmq.create($1)", [.text(queue + "_dlq")])
        try await database.sql("select pgmq.enable_notify_insert($1, 250)", [.text(queue + "_dlq")])
        try await database.sql("create role \(role) login")
        try await database.grant(queue, to: role)
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: queue, extra: [#"on_success = "archive""#, "max_attempts = 1"])
        settings.url = database.url.replacing("user=postgres", with: "user=\(role)")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await database.send(queue, [#"{"fail":-1}"#])
        try await eventually("it is dead-lettered") { try await database.count(queue + "_dlq") == 1 }
        #expect(!daemon.log.contains("permission denied"))
        #expect(try await daemon.stop() == 0)
    }
}
