import Foundation
import Glibc
import Postgres
import Synchronization
import TestSupport
import Testing

/// One outcome that the database will not take, or that has odd bytes, among hundreds.
@Suite(.serialized) struct BadOutcomeTests {
    @Test func `a dead letter whose queue was dropped delays none of five hundred`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(
            database,
            queue: "work",
            workers: 500,
            visibilityTimeout: "5m",
            extra: [#"backoff = { first = "1h", max = "1h" }"#]
        )
        settings.url = proxy.url(database)
        settings.database = ["call_deadline = \"1m\""]
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await database.send("work", ["{}"])
        try await eventually("the daemon has seen its dead-letter queue") { try await database.count("work") == 0 }
        // One that is opened later would look for it again.
        try await eventually("all connections stand") { try await database.backends() == 4 }
        try await database.sql("select pgmq.drop_queue('work_dlq')")
        let bodies =
            Array(repeating: #"{"gated":1}"#, count: 300) + Array(repeating: #"{"gated":1,"fail":1}"#, count: 199)
            + [#"{"gated":1,"sleep":1,"deadLetter":"no use"}"#]
        let ids = try await database.send("work", bodies)
        let bad = ids[499]
        try await eventually("all run at once") { ledger.starts.count >= 501 }
        // The first settlements keep both connections until all have ended, so that the rest is settled together.
        let held = Mutex<[String]>([])
        proxy.onPipeline { text in
            guard text.contains("returning l.n") else { return .pass }
            held.withLock { $0.append(text) }
            return .hold
        }
        ledger.openGate()
        try await eventually("all have ended") { ledger.ends.count == 501 }
        // And the daemon knows it.
        try await eventually("nothing runs") {
            daemon.signal(SIGUSR1)
            return daemon.log.contains("\"running\":\"0/500\"")
        }
        proxy.release()
        try await eventually("those that are done are gone") {
            try await database.int("select count(*) from pgmq.q_work where msg_id <= \(ids[299])") == 0
        }
        try await eventually("the failures are recorded") {
            try await database.int("select count(distinct msg_id) from pgmqd.journal where outcome = 'failed'") == 199
        }
        let first = held.withLock { $0 }.first { $0.contains(Mark.deadLetter) }
        #expect(
            first?.contains("insert into pgmqd.journal") == true,
            "it was sent with the failures, and found among them"
        )
        try await eventually("the dead letter is remembered") {
            let condemned = "select count(*) from pgmqd.journal where outcome = 'condemned' and msg_id = \(bad)"
            return try await database.int(condemned) == 1
        }
        try await daemon.logged(#"dead-letter queue \"work_dlq\" does not exist"#)
        #expect(try await database.int("select count(*) from pgmq.q_work where msg_id = \(bad)") == 1)
        try await database.sql("select pgmq.create('work_dlq')")
        // It would be tried again in a minute, and the failures in an hour.
        try await database.sql("select pgmq.set_vt('work', msg_id, 0) from pgmq.q_work")
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        let runs = ledger.runs
        #expect(ids[..<300].allSatisfy { runs[$0] == 1 })
        #expect(ids[300..<499].allSatisfy { runs[$0] == 2 })
        #expect(runs[bad] == 1)
        #expect(try await database.count("work_dlq") == 1)
        #expect(try await database.text("select headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq") == "no use")
    }

    @Test func `reasons that are not UTF-8 and headers that are JSON null are dead-lettered like others`() async throws
    {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let runs = FileManager.default.temporaryDirectory.path + "/pgmqd-runs-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: runs) }
        let script = #"""
            echo $PGMQD_MSG_ID >> RUNS; case $(cat) in *bad*) printf 'caf\351 \377\376\000 end' >&2; exit 65;; esac
            """#.replacingOccurrences(of: "RUNS", with: runs)
        try await database.send("work", Array(repeating: "{}", count: 250))
        try await database.sql(#"select pgmq.send('work', '{"bad": 1}', 'null'::jsonb)"#)
        try await database.sql(#"select pgmq.send('work', '{"bad": 2}', '{"kept": true}'::jsonb)"#)
        try await database.sql("select pgmq.send('work', '{}', 'null'::jsonb)")
        try await database.send("work", Array(repeating: "{}", count: 247))
        let daemon = try DaemonProcess(
            Settings.patient(
                database,
                queue: "work",
                handler: "{ command = [\"/bin/sh\", \"-c\", '''\(script)'''] }"
            ).text
        )
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        let ids = try String(contentsOfFile: runs, encoding: .utf8).split(separator: "\n").compactMap { Int($0) }
        #expect(ids.sorted() == Array(1...500))
        let rows = try await database.sql(
            """
            select message->>'bad', headers->'x-pgmqd'->>'reason', headers ? 'x-pgmqd-headers', headers->>'kept'
            from pgmq.q_work_dlq order by 1
            """
        )
        try #require(rows.count == 2)
        for row in 0..<2 { #expect(rows.text(row, 1)?.hasPrefix("exit status 65: caf") ?? false) }
        #expect(rows.bool(0, 2))
        #expect(!rows.bool(1, 2))
        #expect(rows.text(1, 3) == "true")
    }
}
