import TestSupport
import Testing

/// Several daemons on one queue.
@Suite(.serialized) struct CompetitionTests {
    @Test func `three daemons with eight workers handle ten thousand messages once each`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemons = try (0..<3).map { _ in
            try DaemonProcess(
                Settings.patient(database, queue: "work").text,
                program: "LedgerDaemon",
                environment: ledger.environment
            )
        }
        for daemon in daemons { try await daemon.ready() }
        var ids: [Int64] = []
        for _ in 0..<10 { ids += try await database.send("work", Array(repeating: "{}", count: 1000)) }
        try await eventually("each has had some") {
            ids += try await database.send("work", Array(repeating: "{}", count: 100))
            return Set(ledger.starts.map(\.pid)).count == 3
        }
        try await eventually("the queue is empty") { try await database.count("work") == 0 }
        for daemon in daemons { #expect(try await daemon.stop() == 0) }
        let runs = ledger.runs
        #expect(Set(runs.keys) == Set(ids))
        #expect(runs.values.allSatisfy { $0 == 1 })
        #expect(try await database.count("work_dlq") == 0)
    }
}
