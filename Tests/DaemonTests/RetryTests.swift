import Foundation
import TestSupport
import Testing

/// Attempts, the back-off between them, and what is left in the end.
@Suite struct RetryTests {
    private struct Letter: Decodable {
        struct Record: Decodable {
            struct Attempt: Decodable {
                let number: Int
                let outcome: String
                let reason: String
                let duration_ms: Int
                let host: String
            }
            let queue: String
            let msg_id: Int64
            let read_ct: Int
            let enqueued_at: String
            let reason: String
            let attempts: [Attempt]
        }
        let id: Int64
        let body: String
        let headers: String
        let record: Record
    }

    @Test func `a retry that falls due while its queue sleeps begins on time`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // The looks that follow falling asleep are over when it fails, and the next is far away.
        let extra = [#"poll_interval = "1h""#, #"backoff = { first = "2s", jitter = 0.0 }"#]
        let settings = Settings(database, queue: "work", visibilityTimeout: "60s", callDeadline: "15s", extra: extra)
        let daemon = try await Workers.start(settings, ledger)
        try await database.send("work", [#"{"sleep": 6, "fail": 1}"#])
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let runs = ledger.history()
        try #require(runs.count == 2)
        let waited = try Double(runs[1].start - #require(runs[0].end)) / 1e9
        #expect(waited >= 2)
        #expect(daemon.log.contains("handler failed"))
    }

    @Test func `a message whose archive has its id already is done once and dead-lettered`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        // As after a crash of the server, if the queue is unlogged: its ids begin again, those of the archive stand.
        try await database.sql(
            "insert into pgmq.a_work (msg_id, read_ct, enqueued_at, vt, message) values (1, 1, now(), now(), '{}')"
        )
        let ledger = Ledger()
        defer { ledger.remove() }
        let extra = [#"on_success = "archive""#]
        let settings = Settings(database, queue: "work", visibilityTimeout: "60s", callDeadline: "15s", extra: extra)
        let daemon = try await Workers.start(settings, ledger)
        try await database.send("work", ["{}", "{}"])
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == [1: 1, 2: 1])
        #expect(try await database.count("work_dlq") == 1)
        let reason = try await database.text("select headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq")
        #expect(reason?.contains("done, but not settled") ?? false)
        #expect(try await database.int("select count(*) from pgmq.a_work") == 2)
    }

    @Test func `a message that always fails has its attempts, backed off, and one dead letter`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let retry = ["max_attempts = 4", #"backoff = { first = "400ms", factor = 2.0, max = "1s", jitter = 0.0 }"#]
        let id = try await database.int(
            """
            select pgmq.send('work', '{"fail": -1, "text": "é"}', '{"tenant": "a", "n": 12345678901234567890}'::jsonb, 0)
            """
        )
        let enqueued = try await database.text(
            #"select to_char(enqueued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from pgmq.q_work"#
        )
        let daemons = try await Workers.start(2, Settings.patient(database, queue: "work", extra: retry), ledger)
        try await database.emptied("work")
        #expect(try await Workers.stop(daemons) == [0, 0])

        let history = ledger.history()
        try #require(history.map(\.attempt) == [1, 2, 3, 4])
        #expect(history.map(\.readCount) == [1, 2, 3, 4])
        #expect(history.allSatisfy { $0.verdict == "failed" })
        for (index, milliseconds) in [400, 800, 1000].enumerated() {
            let earliest = try #require(history[index].end) + UInt64(milliseconds) * 1_000_000
            #expect(history[index + 1].start >= earliest, "after attempt \(index + 1)")
        }

        let listed = try await ProgramRun(["dlq", "list", "work", "--json", "--database", database.url])
        let letters = try JSONDecoder().decode([Letter].self, from: listed.data)
        #expect(letters.count == 1)
        let letter = try #require(letters.first)
        #expect(letter.record.queue == "work")
        #expect(letter.record.msg_id == Int64(id))
        #expect(letter.record.enqueued_at == enqueued)
        #expect(letter.record.read_ct == 4)
        #expect(letter.record.reason == "ordered to fail at attempt 4")
        #expect(letter.record.attempts.map(\.number) == [1, 2, 3, 4])
        #expect(letter.record.attempts.map(\.reason) == (1...4).map { "ordered to fail at attempt \($0)" })
        #expect(letter.record.attempts.allSatisfy { $0.outcome == "failed" && !$0.host.isEmpty })
        #expect(letter.body == #"{"fail": -1, "text": "é"}"#)
        let kept = try await database.text("select (headers - 'x-pgmqd')::text from pgmq.q_work_dlq")
        #expect(kept == #"{"n": 12345678901234567890, "tenant": "a"}"#)

        let shown = try await ProgramRun(["dlq", "show", "work", "\(letter.id)", "--json", "--database", database.url])
        #expect(try JSONDecoder().decode(Letter.self, from: shown.data).record.attempts.count == 4)
        let plain = try await ProgramRun(["dlq", "show", "work", "\(letter.id)", "--database", database.url])
        for number in 1...4 { #expect(plain.text.contains("ordered to fail at attempt \(number)")) }
        // Its journal went along.
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `a failed message is out of sight for its back-off and no longer`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let extra = [
            "max_attempts = 5", #"backoff = { first = "1h", factor = 2.0, max = "3h", jitter = 0.0 }"#,
            #"poll_interval = "100ms""#,
        ]
        let daemon = try await Workers.start(Settings.patient(database, queue: "work", extra: extra), ledger)
        let id = try await database.send("work", [#"{"fail": -1}"#])[0]
        for hours in [1, 2, 3, 3] {
            // Minutes for a busy machine, of hours.
            let expected = "interval '\(hours * 60 - 5) min' and interval '\(hours) h'"
            let isBackedOff = "vt - clock_timestamp() between \(expected)"
            try await eventually("it is backed off for \(hours) h") {
                try await database.int("select count(*) from pgmq.q_work where \(isBackedOff)") == 1
            }
            try await database.sql("select pgmq.set_vt('work', \(id), 0)")
        }
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.history().map(\.attempt) == [1, 2, 3, 4, 5])
        #expect(try await database.count("work_dlq") == 1)
    }

    @Test func `jitter keeps the back-off within its share`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let retry = ["max_attempts = 2", #"backoff = { first = "10s", factor = 2.0, max = "60s", jitter = 0.5 }"#]
        let daemon = try await Workers.start(
            Settings.patient(database, queue: "work", workers: 50, extra: retry),
            ledger
        )
        try await database.send("work", Array(repeating: #"{"fail": 1}"#, count: 50))
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let gaps = Dictionary(grouping: ledger.history(), by: \.id).values.compactMap { runs -> UInt64? in
            runs.count == 2 ? runs[1].start - (runs[0].end ?? 0) : nil
        }
        #expect(gaps.count == 50)
        #expect(gaps.allSatisfy { $0 >= 5_000_000_000 })
        // Drawn, not fixed: fifty draws from ten seconds' width do not fall into a fifth of it.
        #expect((gaps.max() ?? 0) - (gaps.min() ?? 0) > 2_000_000_000)
    }

    @Test func `a handler beyond its timeout is cancelled and has failed an attempt`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let extra = ["handler_timeout = \"500ms\"", "max_attempts = 2", #"backoff = { first = "10ms", max = "10ms" }"#]
        let daemon = try await Workers.start(Settings.patient(database, queue: "work", extra: extra), ledger)
        try await database.send("work", [#"{"sleep": 600}"#])
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.history().map(\.verdict) == ["cancelled", "cancelled"])
        let outcomes = try await database.text(
            "select jsonb_path_query_array(headers, '$.\"x-pgmqd\".attempts[*].outcome')::text from pgmq.q_work_dlq"
        )
        #expect(outcomes == #"["timed_out", "timed_out"]"#)
    }
}
