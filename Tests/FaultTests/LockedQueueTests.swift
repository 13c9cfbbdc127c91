import Postgres
import TestSupport
import Testing

/// One queue's table is locked by somebody; the others do not care.
@Suite(.serialized) struct LockedQueueTests {
    @Test func `a locked queue delays no settlement and no renewal of another and takes no connection`() async throws {
        let database = try await TestServer.common().database()
        for queue in ["locked", "free"] { try await database.createQueue(queue) }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "locked", workers: 4, visibilityTimeout: "12s")
        settings.database = ["call_deadline = \"2s\""]
        settings.add(queue: "free", workers: 4, visibilityTimeout: "20s")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("all connections stand") { try await database.backends() == 4 }
        let held = try await database.send("locked", [#"{"gated":1}"#, #"{"sleep":20}"#])
        try await eventually("the queue to be locked is at work") { ledger.starts.count >= 2 }
        let (long, most) = try await database.inTransaction(["lock table pgmq.q_locked"]) {
            // Done at once, where the other outlasts its lease, which cannot be renewed.
            ledger.openGate()
            // A minute: three times the visibility timeout.
            let long = try await database.send("free", [#"{"sleep":60}"#])[0]
            var most = 0
            var sent = 0
            try await eventually("the long one has ended", within: .seconds(180)) {
                most = max(most, try await database.backends())
                // One at a time: each waits for the settlement of nothing but its own queue.
                try await database.send("free", ["{}"])
                sent += 1
                try await eventually("the quick one is settled") {
                    try await database.int("select count(*) from pgmq.q_free where msg_id <> \(long)") == 0
                }
                return ledger.ends.contains { $0.id == long && $0.queue == "free" }
            }
            #expect(sent > 3)
            // The table is still locked.
            try await eventually("no connection more than ever") { try await database.backends() == 4 }
            return (long, most)
        }
        // Four that stand, and some on their way out: none of the dozens that a minute of deadlines could leave behind.
        #expect(most <= 16)
        try await eventually("all are done") {
            let left = try await [database.count("free"), database.count("locked")]
            return left == [0, 0]
        }
        try await eventually("all connections stand again") { try await database.backends() == 4 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.starts.count { $0.id == long && $0.queue == "free" } == 1)
        // What was done while the queue was locked is settled afterwards, without another run.
        #expect(ledger.starts.count { $0.id == held[0] && $0.queue == "locked" } == 1)
        #expect(!daemon.log.contains("database unreachable"))
        #expect(try await database.count("locked_dlq") == 0)
    }

    @Test
    func `the lock of a message that another client holds is waited for, and the message is done once it is free`()
        async throws
    {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // Nothing polls for an hour.
        let settings = Settings.patient(database, queue: "work", extra: [#"poll_interval = "1h""#])
        let held = try await database.send("work", ["{}"])[0]
        let daemon = try await database.inTransaction(
            ["select msg_id from pgmq.q_work for update"],
            end: "rollback"
        ) {
            let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
            try await daemon.ready()
            try await eventually("the daemon waits for the lock") {
                try await database.int(
                    """
                    select count(*) from pg_stat_activity
                    where datname = $1 and application_name = 'pgmqd watch' and wait_event_type = 'Lock'
                    """,
                    [.text(database.name)]
                ) == 1
            }
            // Another message is not kept waiting by it.
            let other = try await database.send("work", ["{}"])[0]
            try await eventually("the other is done") { ledger.ends.contains { $0.id == other } }
            #expect(!ledger.starts.contains { $0.id == held })
            try await eventually("it waits again") {
                try await database.int(
                    "select count(*) from pg_stat_activity where datname = $1 and application_name = 'pgmqd watch'",
                    [.text(database.name)]
                ) == 1
            }
            return daemon
        }
        try await eventually("it is done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs[held] == 1)
    }

    @Test func `no connection is ever idle in a transaction under load`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", extra: [#"backoff = { first = "10ms" }"#]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        var samples = 0
        var idle = 0
        var dead = 0
        try await database.connected { connection in
            try await eventually("all are done") {
                if samples < 300 {
                    try await database.send("work", Array(repeating: #"{"sleep":0.005}"#, count: 400))
                    try await database.send("work", Array(repeating: #"{"fail":1}"#, count: 50))
                    dead += try await database.send("work", Array(repeating: #"{"deadLetter":"no"}"#, count: 50)).count
                }
                for _ in 0..<30 {
                    let rows = try await connection.run(
                        [
                            .init(
                                """
                                select count(*) filter (where state like 'idle in transaction%'), count(*)
                                from pg_stat_activity where application_name like 'pgmqd %' and datname = $1
                                """,
                                [.text(database.name)]
                            )
                        ],
                        deadline: .seconds(10)
                    )[0]
                    idle += Int(rows.int(0, 0))
                    samples += 1
                }
                guard samples >= 300 else { return false }
                return try await database.count("work") == 0
            }
        }
        #expect(idle == 0)
        #expect(try await daemon.stop() == 0)
        #expect(try await database.count("work_dlq") == dead)
    }
}
