import Glibc
import Postgres
import TestSupport
import Testing

/// Messages that end the process which works them.
@Suite(.serialized) struct CrashTests {
    @Test func `a message that kills its process is dead-lettered, and the innocent beside it are done`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // In flight beside it each time: long enough to be running when it strikes.
        var bodies = Array(repeating: #"{"sleep": 0.3}"#, count: 30)
        bodies.insert(#"{"sleep": 0.1, "abort": true}"#, at: 3)
        let ids = try await database.send("work", bodies)
        let poison = ids[3]
        let settings = Settings(database, queue: "work", visibilityTimeout: "8s", callDeadline: "2s")
        let ends = try await Workers.supervise(settings, ledger) {
            try await database.count("work") == 0
        }

        #expect(ends.last == 0)
        #expect(ends.dropLast().allSatisfy { $0 == -SIGABRT })
        let letters = try await database.sql(
            "select headers->'x-pgmqd'->>'msg_id', headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq"
        )
        #expect(letters.count == 1)
        #expect(letters.text(0, 0) == "\(poison)")
        #expect(letters.text(0, 1)?.hasPrefix("crashed") == true)
        let innocent = Set(ids).subtracting([poison])
        #expect(Set(ledger.ends.filter { $0.verdict == "done" }.map(\.id)) == innocent)
        // Without a state directory the first delivery leaves no trace, so max_crashes (3) come to four runs, and no more.
        #expect(ledger.runs[poison] == 4)
        // A crash is no attempt.
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 })
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `a suspect runs alone`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let poison = try await database.send("work", [#"{"sleep": 0.5, "abort": true}"#])[0]
        // Always some others to be run.
        let sender = Task {
            while !Task.isCancelled {
                try await database.send("work", Array(repeating: #"{"sleep": 0.05}"#, count: 10))
                try await eventually("there is need of more") { try await database.count("work") < 20 }
            }
        }
        defer { sender.cancel() }
        let settings = Settings(database, queue: "work", visibilityTimeout: "8s", callDeadline: "2s")
        let letters = "select count(*) from pgmq.q_work_dlq where headers->'x-pgmqd'->>'msg_id' = '\(poison)'"
        _ = try await Workers.supervise(settings, ledger) { try await database.int(letters) == 1 }
        let history = ledger.history()
        let last = try #require(history.last { $0.id == poison })
        #expect(last.readCount >= 4)
        let beside = history.filter { $0.pid == last.pid && $0.id != poison && $0.start > last.start }
        #expect(beside.isEmpty)
        let unfinished = history.filter { $0.pid == last.pid && $0.id != poison && ($0.end ?? .max) > last.start }
        #expect(unfinished.isEmpty)
    }

    @Test func `a message that others have read twenty times is simply done`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let ids = try await database.send("work", ["{}", #"{"fail": 1}"#])
        for _ in 0..<20 { try await database.sql("select pgmq.read('work', 0, 2)") }
        let backoff = [#"backoff = { first = "10ms", max = "10ms" }"#]
        let daemon = try await Workers.start(Settings.patient(database, queue: "work", extra: backoff), ledger)
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.history().filter { $0.id == ids[0] }.map(\.readCount) == [21])
        #expect(ledger.history().filter { $0.id == ids[1] }.map(\.attempt) == [1, 2])
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }
}
