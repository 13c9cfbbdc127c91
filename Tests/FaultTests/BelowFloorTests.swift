import Postgres
import TestSupport
import Testing

/// Messages that appear below what a busy daemon has claimed up to.
@Suite(.serialized) struct BelowFloorTests {
    @Test func `a message whose producer commits late is found while others wait`() async throws {
        try await whileBusy { database, hasPassed in
            let id = try await database.connected { connection in
                _ = try await connection.run([Statement("begin")], deadline: .seconds(10))
                let send = Statement("select * from pgmq.send('work', '{}')")
                let id = try await connection.run([send], deadline: .seconds(10))[0].int(0, 0)
                try await hasPassed()
                _ = try await connection.run([Statement("commit")], deadline: .seconds(10))
                return id
            }
            return [id]
        }
    }

    @Test func `a message whose claim by another client is rolled back is found while others wait`() async throws {
        try await whileBusy { database, hasPassed in
            try await database.connected { connection in
                _ = try await connection.run([Statement("begin")], deadline: .seconds(10))
                var ids: [Int64] = []
                try await eventually("the other client claims some") {
                    let read = Statement("select msg_id from pgmq.read('work', 60, 5)")
                    let rows = try await connection.run([read], deadline: .seconds(10))[0]
                    ids = (0..<rows.count).map { rows.int($0, 0) }
                    return !ids.isEmpty
                }
                try await hasPassed()
                _ = try await connection.run([Statement("rollback")], deadline: .seconds(10))
                return ids
            }
        }
    }

    @Test func `a message sent with a time in the past is found while others wait`() async throws {
        try await whileBusy { database, hasPassed in
            try await hasPassed()
            let send = "select * from pgmq.send('work', '{}'::jsonb, clock_timestamp() - interval '20 seconds')"
            return [Int64(try await database.int(send))]
        }
    }

    @Test func `a delayed message that another client sets into the past is found while others wait`() async throws {
        try await whileBusy { database, hasPassed in
            let id = try await database.send("work", ["{}"], delay: .seconds(3600))[0]
            try await hasPassed()
            try await database.sql("select pgmq.set_vt('work', \(id), -20)")
            return [id]
        }
    }

    @Test func `a message an hour in the past is found before the daemon falls asleep`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(database, ledger)
        let id = try await database.connected { connection in
            _ = try await connection.run([Statement("set session_replication_role = replica")], deadline: .seconds(60))
            try await database.send("work", Array(repeating: #"{"sleep":0.02}"#, count: 2000))
            try await eventually("it is at work") { ledger.ends.count > 20 }
            // Nobody rings, and the next safety poll is an hour away.
            let send = "select * from pgmq.send('work', '{}'::jsonb, clock_timestamp() - interval '1 hour')"
            return try await connection.run([Statement(send)], deadline: .seconds(60))[0].int(0, 0)
        }
        try await eventually("it is begun") { ledger.starts.contains { $0.id == id } }
        #expect(try await daemon.stop() == 0)
    }

    /// Keeps messages waiting all the time until the handler has begun those that `body` hid; the daemon must not
    /// wait for a quiet moment to find them.
    private func whileBusy(
        _ body: (TestDatabase, _ hasPassed: () async throws -> Void) async throws -> [Int64]
    ) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(database, ledger)
        let feeder = Task {
            try await database.connected { connection in
                let waiting = Statement("select count(*) from pgmq.q_work where vt <= clock_timestamp()")
                let feed = Statement(
                    #"select count(*) from pgmq.send_batch('work', array_fill('{"sleep":0.02}'::jsonb, array[200]))"#
                )
                while !Task.isCancelled {
                    let isFull = try await connection.run([waiting], deadline: .seconds(60))[0].int(0, 0) > 2000
                    // Not all the time: the server has others to serve.
                    let next = isFull ? Statement("select pg_sleep(0.02)") : feed
                    _ = try await connection.run([next], deadline: .seconds(60))
                }
            }
        }
        defer { feeder.cancel() }
        let waiting = "select count(*) from pgmq.q_work where vt <= clock_timestamp()"
        try await eventually("it is at work, and many wait") {
            try await database.int(waiting) > 1000 && ledger.starts.count > 100
        }
        let hidden = try await body(database) {
            let newest = Int64(try await database.int("select max(msg_id) from pgmq.q_work"))
            try await eventually("later ones are begun") { ledger.starts.contains { $0.id > newest } }
        }
        let shown = Ledger.now
        try await eventually("the hidden ones are begun") {
            let begun = Set(ledger.starts.map(\.id))
            return hidden.allSatisfy(begun.contains)
        }
        #expect(try await database.int(waiting) > 100)
        // Far fewer than are begun until the deepest sweep, which comes every 30 s.
        let found = ledger.starts.filter { hidden.contains($0.id) }.map(\.time).max() ?? 0
        #expect(ledger.starts.count { shown < $0.time && $0.time < found } < 8000)
        feeder.cancel()
        _ = await feeder.result
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    private func start(_ database: TestDatabase, _ ledger: Ledger) async throws -> DaemonProcess {
        let extra = [#"poll_interval = "1h""#]
        var settings = Settings(database, queue: "work", visibilityTimeout: "60s", extra: extra)
        settings.database = ["call_deadline = \"10s\""]
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        return daemon
    }
}
