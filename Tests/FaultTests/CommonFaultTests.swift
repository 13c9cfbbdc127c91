import Postgres
import TestSupport
import Testing

/// An error is every message's, or one message's alone: what the daemon does and says of it differs.
@Suite(.serialized) struct CommonFaultTests {
    /// Both are classes that one message's own fault may have, too.
    @Test(arguments: ["54000", "58030"])
    func `what refuses every outcome is told once, and all are settled when it is over`(state: String) async throws {
        let (database, ledger, daemon, ids) = try await twoHundredRunning()
        defer { ledger.remove() }
        // A sequence counts what is rolled back, too.
        try await database.sql("create sequence refused")
        try await database.trigger(
            before: "delete",
            "perform nextval('refused'); raise exception 'no outcome' using errcode = '\(state)';"
        )
        ledger.openGate()
        try await daemon.logged("queue paused")
        try await eventually("all have ended") { ledger.ends.count == 200 }
        let before = try await database.int("select last_value from refused")
        try await eventually("it is tried again") {
            try await database.int("select last_value from refused") > before + 3
        }
        #expect(daemon.log.contains(line: "queue paused", "no outcome"))
        try await database.sql("drop trigger guard on pgmq.q_work")
        try await eventually("all are settled") { try await database.count("work") == 0 }
        try await eventually("it resumes") {
            try await database.send("work", ["{}"])
            return ledger.ends.count > 200
        }
        #expect(try await daemon.stop() == 0)
        #expect(ids.allSatisfy { ledger.runs[$0] == 1 })
        #expect(daemon.log.count(lines: #""message":"outcome "#) <= 5)
        #expect(daemon.log.count(lines: "queue paused") == 1)
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test(arguments: ["54000", "58030"])
    func `what refuses one outcome is told of that message, and the others are settled`(state: String) async throws {
        let (database, ledger, daemon, ids) = try await twoHundredRunning()
        defer { ledger.remove() }
        let bad = ids[117]
        try await database.trigger(
            before: "delete",
            """
            if old.msg_id = \(bad) then raise exception 'not this one' using errcode = '\(state)'; end if;
            return old;
            """
        )
        ledger.openGate()
        try await eventually("the others are settled") { try await database.count("work") == 1 }
        try await daemon.logged(#""message":"outcome "#)
        #expect(daemon.log.contains(line: #""message":"outcome "#, #""msg_id":"\#(bad)""#, "not this one"))
        // The queue is worked beside it.
        let later = try await database.send("work", Array(repeating: "{}", count: 20))
        try await eventually("later ones are done") { ledger.ends.count == 220 }
        try await eventually("and settled") { try await database.count("work") == 1 }
        try await database.sql("drop trigger guard on pgmq.q_work")
        try await eventually("it is settled, too") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: (ids + later).map { ($0, 1) }))
        #expect(
            daemon.log.split(separator: "\n").allSatisfy {
                !$0.contains(#""message":"outcome "#) || $0.contains(#""msg_id":"\#(bad)""#)
            }
        )
        #expect(!daemon.log.contains("queue paused"))
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `a reason that the database's encoding cannot write is written with question marks`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        // Nothing in it is more than ASCII yet.
        try await database.sql(
            """
            update pg_database set encoding = pg_char_to_encoding('LATIN1'), datcollate = 'C', datctype = 'C'
            where datname = current_database()
            """
        )
        #expect(try await database.text("show server_encoding") == "LATIN1")
        let script = #"cat >/dev/null; printf "caf\303\251 \342\200\234no\342\200\235 \357\277\275" >&2; exit 1"#
        let daemon = try DaemonProcess(
            Settings.patient(
                database,
                queue: "work",
                handler: TestFolder.shell(script),
                extra: [#"backoff = { first = "10ms", max = "10ms" }"#, "max_attempts = 2"]
            ).text
        )
        try await daemon.ready()
        try await database.send("work", Array(repeating: "{}", count: 20))
        try await eventually("all are dead-lettered") { try await database.count("work_dlq") == 20 }
        #expect(try await daemon.stop() == 0)
        let told = try await database.int(
            """
            select count(*) from pgmq.q_work_dlq where headers->'x-pgmqd'->>'reason' like '%?no? ?%'
                and headers->'x-pgmqd'->'attempts'->0->>'reason' like '%?no? ?%'
                and jsonb_array_length(headers->'x-pgmqd'->'attempts') = 2
            """
        )
        #expect(told == 20)
        #expect(!daemon.log.contains("queue paused"))
    }

    @Test func `a dead-letter queue that is dropped with work in hand and made anew gets what was for it`() async throws
    {
        let (database, ledger, daemon, ids) = try await twoHundredRunning(#"{"gated":1,"deadLetter":"no use"}"#)
        defer { ledger.remove() }
        try await database.sql("select pgmq.drop_queue('work_dlq')")
        ledger.openGate()
        try await daemon.logged("queue paused")
        #expect(daemon.log.contains(line: "queue paused", #"dead-letter queue \"work_dlq\" does not exist"#))
        try await eventually("all have ended") { ledger.ends.count == 200 }
        #expect(try await database.count("work") == 200)
        try await database.sql("select pgmq.create('work_dlq')")
        try await eventually("all are dead-lettered") { try await database.count("work_dlq") == 200 }
        #expect(try await database.count("work") == 0)
        #expect(try await daemon.stop() == 0)
        #expect(ids.allSatisfy { ledger.runs[$0] == 1 })
        #expect(ledger.starts.count == 200)
        #expect(
            try await database.int(
                "select count(*) from pgmq.q_work_dlq where headers->'x-pgmqd'->>'reason' = 'no use'"
            ) == 200
        )
        #expect(daemon.log.count(lines: "queue paused") == 1)
    }

    @Test func `a queue that is dropped with work in hand and made anew is worked again`() async throws {
        let (database, ledger, daemon, _) = try await twoHundredRunning()
        defer { ledger.remove() }
        try await database.sql("select pgmq.drop_queue('work')")
        ledger.openGate()
        try await daemon.logged("queue paused")
        #expect(daemon.log.contains(line: "queue paused", "work"))
        try await eventually("all have ended") { ledger.ends.count == 200 }
        try await database.sql("select pgmq.create('work')")
        // Their ids are those of the old ones.
        try await database.send("work", Array(repeating: "{}", count: 50))
        try await eventually("the new ones are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.starts.count == 250)
        #expect(daemon.log.count(lines: "queue paused") == 1)
        #expect(try await database.count("work_dlq") == 0)
    }

    /// Messages whose handlers wait for the gate.
    private func twoHundredRunning(
        _ body: String = #"{"gated":1}"#
    ) async throws -> (TestDatabase, Ledger, DaemonProcess, [Int64]) {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        var settings = Settings.patient(database, queue: "work", workers: 200)
        settings.queues = settings.queues.map { $0.replacing("\"60s\"", with: "\"5m\"") }
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let ids = try await database.send("work", Array(repeating: body, count: 200))
        try await eventually("all run") { ledger.starts.count == 200 }
        return (database, ledger, daemon, ids)
    }
}
