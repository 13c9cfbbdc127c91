import Glibc
import PGMQ
import Postgres
import TestSupport
import Testing

/// PGMQ is upgraded from before 1.10 while a daemon works: its queues get a column that the fences of messages claimed
/// before do not have.
@Suite(.serialized) struct UpgradeTests {
    @Test func `messages that run while their queue gets last_read_at are settled, and run once`() async throws {
        let database = try await TestServer.common(.v1_5).database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try start(database, ledger)
        let bodies = ["", "", #", "deadLetter": "no""#, #", "snooze": 0.1"#, #", "fail": 1"#]
            .map { #"{"gated": 1\#($0)}"# }
        let ids = try await database.send("work", bodies)
        try await eventually("they run") { ledger.running == Set(ids) }
        for table in ["q_work", "a_work"] {
            try await database.sql("alter table pgmq.\(table) add column last_read_at timestamptz")
        }
        try await database.terminate()
        let late = try await database.send("work", [#"{"gated": 1}"#])[0]
        try await eventually("the daemon knows of it, and has both kinds") {
            try await database.int("select count(last_read_at) from pgmq.q_work where msg_id = \(late)") == 1
                && ledger.running.contains(late)
        }
        try await database.leaseOutlasted("work")
        #expect(ledger.ends.isEmpty)
        ledger.openGate()
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await database.int("select count(*) from pgmq.a_work") == 5)
        #expect(try await database.count("work_dlq") == 1)
        let runs = ledger.runs
        #expect((ids.prefix(3) + [late]).allSatisfy { runs[$0] == 1 })
        // One failed once; one is put off until its third delivery.
        #expect(runs[ids[3]] == 3)
        #expect(runs[ids[4]] == 2)
        try await expectLost(0, daemon)
        #expect(!daemon.log.contains("lease lost"))
        #expect(!daemon.log.contains("queue paused"))
        #expect(try await daemon.stop() == 0)
    }

    /// Restored, or made anew: its ids begin again, and what runs is of the old one.
    @Test func `what ran while its queue was made anew with last_read_at touches no message of the new one`()
        async throws
    {
        let database = try await TestServer.common(.v1_5).database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try start(database, ledger)
        let ids = try await database.send("work", [#"{"gated": 1}"#, #"{"gated": 1, "fail": 1}"#])
        try await eventually("they run") { ledger.running == Set(ids) }
        try await database.sql("select pgmq.drop_queue('work')")
        try await database.sql("select pgmq.create('work')")
        for table in ["q_work", "a_work"] {
            try await database.sql("alter table pgmq.\(table) add column last_read_at timestamptz")
        }
        // Another client has them, with the same ids and as many reads.
        let anew = try await database.send("work", ["{}", "{}"], delay: .seconds(3600))
        #expect(anew == ids)
        try await database.sql(
            "update pgmq.q_work set read_ct = 1, last_read_at = now()"
        )
        let rows = "select string_agg(q::text, ' ' order by msg_id) from pgmq.q_work q"
        let before = try await database.text(rows)
        try await database.terminate()
        // An outcome that is on its way when its connection goes counts as written, because it may have been.
        try await eventually("the daemon is back") {
            try await database.backends() == 4 && daemon.log.contains("queue resumed")
        }
        ledger.openGate()
        try await expectLost(2, daemon)
        #expect(try await database.text(rows) == before)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        #expect(try await daemon.stop() == 0)
        #expect(ledger.starts.count == 2)
    }

    private func start(_ database: TestDatabase, _ ledger: Ledger) throws -> DaemonProcess {
        let settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "15s",
            callDeadline: "3s",
            extra: [#"on_success = "archive""#, #"backoff = { first = "10ms" }"#]
        )
        return try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
    }

    private func expectLost(_ count: Int, _ daemon: DaemonProcess) async throws {
        try await eventually("\(count) are counted lost") {
            daemon.signal(SIGUSR1)
            return daemon.log.contains("\"lost\":\"\(count)\"")
        }
    }
}
