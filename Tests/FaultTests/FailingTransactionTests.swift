import TestSupport
import Testing

/// A settlement's transaction fails for a reason that is not the settlement's own.
@Suite(.serialized) struct FailingTransactionTests {
    @Test func `a claim that always fails keeps no settlement from being written`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        try await database.sql(
            """
            create function poisoned() returns trigger language plpgsql as
            'begin raise exception ''poisoned claim''; end'
            """
        )
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", workers: 4, visibilityTimeout: "60s").text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        for _ in 0..<10 { try await database.send("work", Array(repeating: #"{"gated":1}"#, count: 20)) }
        try await eventually("every worker has begun") { ledger.starts.count >= 4 }
        // From here on, whatever it rides with.
        try await database.sql(
            """
            create trigger poisoned before update of read_ct on pgmq.q_work for each row execute function poisoned()
            """
        )
        ledger.openGate()
        try await daemon.logged("poisoned claim")
        try await eventually("all that ran is settled, and nothing else goes on") {
            let ended = ledger.ends.count
            return try await database.count("work") == 200 - ended && ledger.starts.count == ended
        }
        #expect(ledger.starts.count < 200)
        try await database.sql("drop trigger poisoned on pgmq.q_work")
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.count == 200)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `a settlement whose riding claim fails is written alone and nothing runs twice`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        // Fails each claim that is behind a settlement in one transaction.
        for statement in [
            "create sequence rides",
            """
            create function settles() returns trigger language plpgsql as
            'begin perform set_config(''test.settles'', ''yes'', true); return old; end'
            """,
            """
            create function rides() returns trigger language plpgsql as
            'begin perform nextval(''rides''); raise exception ''failed as it rode''; end'
            """,
            "create trigger settles before delete on pgmq.q_work for each row execute function settles()",
            """
            create trigger rides before update of read_ct on pgmq.q_work for each row
            when (current_setting('test.settles', true) = 'yes') execute function rides()
            """,
        ] { try await database.sql(statement) }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", workers: 4, visibilityTimeout: "60s")
        settings.database = ["call_deadline = \"10s\""]
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let ids = try await database.send("work", Array(repeating: #"{"sleep":0.02}"#, count: 200))
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        // A sequence counts what was rolled back, too.
        #expect(try await database.int("select last_value from rides") > 3)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 && $0.readCount == 1 })
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `a settlement whose commit fails is written once and nothing runs twice`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        try await database.sql("create sequence commits")
        // Fails behind all rows, at the commit: what was returned before is not true then.
        try await database.sql(
            """
            create function fails_at_commit() returns trigger language plpgsql as
            'begin if nextval(''commits'') < 12 then raise exception ''failed at commit''; end if; return null; end'
            """
        )
        try await database.sql(
            """
            create constraint trigger late after delete or update of vt on pgmq.q_work deferrable initially deferred
            for each row when (old.read_ct > 0) execute function fails_at_commit()
            """
        )
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(
                database,
                queue: "work",
                workers: 20,
                visibilityTimeout: "30s",
                extra: [#"on_success = "archive""#, #"backoff = { first = "10ms" }"#]
            ).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        let done = try await database.send("work", Array(repeating: #"{"sleep":0.2}"#, count: 60))
        let failing = try await database.send("work", Array(repeating: #"{"sleep":0.2,"fail":1}"#, count: 20))
        let dead = try await database.send("work", Array(repeating: #"{"deadLetter":"no use"}"#, count: 20))
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(try await database.int("select last_value from commits") > 12)
        let runs = ledger.runs
        #expect((done + dead).allSatisfy { runs[$0] == 1 })
        #expect(failing.allSatisfy { runs[$0] == 2 })
        #expect(try await database.int("select count(*) from pgmq.a_work") == 80)
        #expect(try await database.int("select count(distinct msg_id) from pgmq.a_work") == 80)
        #expect(
            try await database.int("select count(distinct headers->'x-pgmqd'->>'msg_id') from pgmq.q_work_dlq") == 20
        )
        #expect(try await database.count("work_dlq") == 20)
    }
}
