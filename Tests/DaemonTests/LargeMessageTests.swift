import TestSupport
import Testing

/// Large messages among small ones.
@Suite struct LargeMessageTests {
    @Test func `messages too large for a claim are read when their turn comes, and done once`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", workers: 50, visibilityTimeout: "30s", callDeadline: "5s")
        // Sixty of the large ones would be 24 MB.
        settings.daemon.append("max_inflight_bytes = \"1MiB\"")
        let daemon = try await Workers.start(settings, ledger)
        try await database.send("work", Array(repeating: "{}", count: 3000))
        let large = #"{"sleep": 0.01, "pad": ""# + String(repeating: "x", count: 400_000) + #""}"#
        var largeIDs: Set<Int64> = []
        for _ in 0..<6 {
            let ids = try await database.send(
                "work",
                Array(repeating: large, count: 10) + Array(repeating: "{}", count: 200)
            )
            largeIDs.formUnion(ids.prefix(10))
        }
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.count == 3000 + 6 * 210)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
        #expect(ledger.ends.allSatisfy { $0.verdict == "done" })
        #expect(try await database.count("work_dlq") == 0)
        // Never more than three of the large ones at once fit.
        let long = ledger.history().filter { largeIDs.contains($0.id) }
        let most = long.map { run in long.count { $0.start <= run.start && run.start < $0.end ?? .max } }.max() ?? 0
        #expect((1...3).contains(most), "\(most) at once")
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }
}
