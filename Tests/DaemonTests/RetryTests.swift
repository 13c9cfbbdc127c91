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

    @Test func `a message that always fails has its attempts, backed off, and one dead letter`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let retry = ["max_attempts = 4", #"backoff = { first = "400ms", factor = 2.0, max = "1s", jitter = 0.0 }"#]
        let daemons = try await Workers.start(2, Settings(database, queue: "work", extra: retry), ledger)
        let id = try await database.int(
            """
            select pgmq.send('work', '{"fail": -1, "text": "é"}', '{"tenant": "a", "n": 12345678901234567890}'::jsonb, 0)
            """
        )
        let enqueued = try await database.text(
            #"select to_char(enqueued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from pgmq.q_work"#
        )
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

    @Test func `jitter keeps the back-off within its share`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let retry = ["max_attempts = 2", #"backoff = { first = "1s", factor = 2.0, max = "10s", jitter = 0.5 }"#]
        let daemon = try await Workers.start(Settings(database, queue: "work", workers: 50, extra: retry), ledger)
        try await database.send("work", Array(repeating: #"{"fail": 1}"#, count: 50))
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let gaps = Dictionary(grouping: ledger.history(), by: \.id).values.compactMap { runs -> UInt64? in
            runs.count == 2 ? runs[1].start - (runs[0].end ?? 0) : nil
        }
        #expect(gaps.count == 50)
        #expect(gaps.allSatisfy { $0 >= 500_000_000 })
        // Drawn, not fixed: fifty draws from a second's width do not fall into a fifth of it.
        #expect((gaps.max() ?? 0) - (gaps.min() ?? 0) > 200_000_000)
    }

    @Test func `a handler beyond its timeout is cancelled and has failed an attempt`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let extra = ["handler_timeout = \"500ms\"", "max_attempts = 2", #"backoff = { first = "10ms", max = "10ms" }"#]
        let daemon = try await Workers.start(Settings(database, queue: "work", extra: extra), ledger)
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
