import Glibc
import TestSupport
import Testing

/// The signals that do not end a daemon.
@Suite(.serialized) struct SignalTests {
    @Test func `SIGTSTP takes nothing new and ends what runs, SIGCONT goes on`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(
            Settings(
                database,
                queue: "work",
                visibilityTimeout: "12s",
                callDeadline: "3s",
                extra: ["poll_interval = \"100ms\""]
            ),
            ledger
        )
        let held = try await database.send("work", [#"{"gated": 1}"#])
        try await eventually("it runs") { ledger.starts.count == 1 }
        daemon.signal(SIGTSTP)
        try await daemon.logged("quiet")
        // It is told before it is so.
        daemon.signal(SIGUSR1)
        try await daemon.logged("\"quiet\":\"true\"")
        let fresh = try await database.send("work", ["{}", "{}"])
        let lease = "select extract(epoch from max(vt)) * 1000 from pgmq.q_work where read_ct > 0"
        let first = try await database.int("select (\(lease))::bigint")
        try await eventually("what runs is held for longer than one lease") {
            try await database.int("select (\(lease))::bigint") > first + 12_000
        }
        ledger.openGate()
        try await eventually("what runs has ended and is settled") {
            ledger.ends.map(\.id) == held ? try await database.count("work") == 2 : false
        }
        #expect(ledger.history().map(\.readCount) == [1])
        #expect(try await database.int("select sum(read_ct) from pgmq.q_work") == 0)
        daemon.signal(SIGCONT)
        try await database.emptied("work")
        #expect(Set(ledger.ends.map(\.id)) == Set(held + fresh))
        #expect(try await daemon.stop() == 0)
    }

    @Test func `a quiet daemon stops as any other`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(Settings(database, queue: "work"), ledger)
        daemon.signal(SIGTSTP)
        try await daemon.logged("quiet")
        #expect(try await daemon.stop() == 0)
    }

    @Test func `SIGUSR1 tells what every worker is doing`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        try await database.createQueue("other")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings.patient(database, queue: "work", workers: 3, extra: [#"backoff = { first = "10ms" }"#])
        settings.add(queue: "other", handler: "{ discard = true }", visibilityTimeout: "60s")
        let daemon = try await Workers.start(settings, ledger)
        let id = try await database.send("work", [#"{"fail": 1, "gated": 2}"#])[0]
        try await eventually("its second attempt runs") { ledger.starts.last?.attempt == 2 }
        daemon.signal(SIGUSR1)
        try await daemon.logged("\"message\":\"queue\"", times: 2)
        let lines = daemon.log.split(separator: "\n")
        let worker = try #require(lines.first { $0.contains("\"message\":\"worker\"") })
        #expect(worker.contains("\"msg_id\":\"\(id)\""))
        #expect(worker.contains("\"attempt\":\"2\""))
        let queues = lines.filter { $0.contains("\"message\":\"queue\"") }
        #expect(queues.count == 2)
        let work = try #require(queues.first { $0.contains("\"queue\":\"work\"") })
        for text in [#""running":"1/3""#, #""retried":"1""#, #""lost":"0""#, #""paused":"no""#] {
            #expect(work.contains(text), "\(text) in \(work)")
        }
        ledger.openGate()
        #expect(try await daemon.stop() == 0)
    }
}
