import Synchronization
import TestSupport
import Testing

/// Claims that were committed and whose replies never came.
@Suite(.serialized) struct LostClaimTests {
    @Test func `messages whose claim replies were lost twelve times are simply done`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        let swallows = Mutex(true)
        proxy.onPipeline { text in
            // One row is the transaction's clock; the second is a message.
            text.contains(Mark.claim) && swallows.withLock { $0 }
                ? .swallowReply(rowsAtLeast: 2) : .pass
        }
        var settings = Settings(database, queue: "work", visibilityTimeout: "10s")
        settings.database = ["call_deadline = \"2s\""]
        settings.url = proxy.url(database)
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let ids = try await database.send("work", Array(repeating: #"{"gated":1}"#, count: 5))
        try await eventually("each was claimed twelve times, and known to nobody") {
            // Nobody holds one: not to wait for the leases' ends.
            try await database.sql("update pgmq.q_work set vt = now() where vt > now()")
            return try await database.int("select min(read_ct) from pgmq.q_work") >= 12
        }
        try await eventually("the lost claims are closed as phantoms") {
            try await database.int("select count(*) from pgmqd.journal where outcome = 'phantom'") >= 55
        }
        #expect(try await database.int("select count(*) from pgmqd.journal where outcome <> 'phantom'") == 0)
        #expect(ledger.starts.isEmpty)
        swallows.withLock { $0 = false }
        try await eventually("all run at once") { ledger.running == Set(ids) }
        ledger.openGate()
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 && $0.readCount > 12 })
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }
}
