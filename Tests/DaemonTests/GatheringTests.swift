import TestSupport
import Testing

/// What is done in a flood is settled in full batches, and waits for no slow handler.
@Suite struct GatheringTests {
    @Test func `outcomes that wait for a full batch are written while the next handler takes its time`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // Quick ones, for the rate of a flood, then one that stops all: there is but one worker.
        try await database.send("work", Array(repeating: "{}", count: 4321))
        let slow = try await database.send("work", [#"{"gated":1}"#])[0]
        try await database.send("work", Array(repeating: "{}", count: 700))
        let sent = 4321 + 1 + 700
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", workers: 1).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await eventually("the slow one is begun") { ledger.starts.contains { $0.id == slow } }
        // Not all before it: of two claims under way at once the later one may come first.
        try await eventually("all that ended are settled") {
            try await database.int("select count(*) from pgmq.q_work") == sent - ledger.ends.count
        }
        ledger.openGate()
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }
}
