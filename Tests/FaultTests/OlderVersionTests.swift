import Engine
import Postgres
import Synchronization
import TestSupport
import Testing

/// PGMQ as it was.
@Suite(.serialized) struct OlderVersionTests {
    @Test func `a daemon works with PGMQ 1_11_1`() async throws {
        let server = try await TestServer.common(.v1_11_1)
        try await endToEnd(try await server.database(), server)
    }

    @Test func `a daemon works with a queue in the shape of PGMQ 1_5 to 1_9`() async throws {
        let server = try await TestServer.common(.v1_5)
        let database = try await server.database()
        let claims = try await endToEnd(database, server)
        // Where the fence cannot tell a claim that a crash took back, the claim waits for the disk.
        #expect(!claims.isEmpty)
        #expect(claims.allSatisfy { !$0.contains("synchronous_commit") })
    }

    @Test func `the fence of an older queue takes the time of sending`() async throws {
        let database = try await TestServer.common(.v1_5).database()
        try await database.createQueue("work")
        let ids = try await database.send("work", ["{}", "{}"])
        let stale = Port(database, queue: "work")
        let leases = try await stale.claim()
        // One was claimed by another, one is another message of the same id.
        try await database.sql("update pgmq.q_work set read_ct = 2 where msg_id = \(ids[0])")
        try await database.sql("update pgmq.q_work set enqueued_at = now() where msg_id = \(ids[1])")
        #expect(try await stale.renew(leases) == [.lost, .lost])
        for outcome in [Outcome.done, .deadLetter(reason: "stale"), .retry(after: .zero, reason: "stale")] {
            #expect(try await stale.settle(leases, outcome).isEmpty)
        }
        #expect(try await database.count("work") == 2)
        try await database.sql("update pgmq.q_work set vt = now()")
        let owned = try await stale.claim()
        #expect(try await stale.renew(owned) == [.renewed, .renewed])
        #expect(try await stale.settle(owned, .done) == Set(ids))
    }

    /// - Returns: the statements of all claims.
    @discardableResult
    private func endToEnd(_ database: TestDatabase, _ server: TestServer) async throws -> [String] {
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let claims = Mutex<[String]>([])
        proxy.onPipeline { text in
            if text.contains(Mark.claim), !text.contains("delete from") { claims.withLock { $0.append(text) } }
            return .pass
        }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "12s",
            extra: [#"on_success = "archive""#, #"backoff = { first = "10ms" }"#, "max_attempts = 3"]
        )
        settings.database = ["call_deadline = \"3s\""]
        settings.url = proxy.url(database)
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let done = try await database.send("work", Array(repeating: "{}", count: 200))
        let long = try await database.send("work", [#"{"sleep":18}"#])
        let retried = try await database.send("work", Array(repeating: #"{"fail":1}"#, count: 20))
        let dead = try await database.send("work", Array(repeating: #"{"fail":-1}"#, count: 5))
        let late = try await database.send("work", ["{}"], delay: .seconds(2))
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        let runs = ledger.runs
        #expect((done + long + late).allSatisfy { runs[$0] == 1 })
        #expect(retried.allSatisfy { runs[$0] == 2 })
        #expect(dead.allSatisfy { runs[$0] == 3 })
        #expect(try await database.count("work_dlq") == 5)
        #expect(try await database.int("select count(distinct msg_id) from pgmq.a_work") == 222)
        return claims.withLock { $0 }
    }
}
