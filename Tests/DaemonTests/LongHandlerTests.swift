import TestSupport
import Testing

/// Handlers that run for longer than a lease lasts without renewal.
@Suite struct LongHandlerTests {
    @Test func `a handler that runs for three visibility timeouts runs once`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // Two that would take it, and many messages, so that it is a batch that is renewed.
        let daemons = try await Workers.start(
            2,
            Settings(database, queue: "work", workers: 8, visibilityTimeout: "12s", callDeadline: "3500ms"),
            ledger
        )
        let ids = try await database.send("work", Array(repeating: #"{"sleep": 36}"#, count: 12))
        try await database.emptied("work")
        #expect(try await Workers.stop(daemons) == [0, 0])
        let history = ledger.history()
        #expect(history.map(\.id).sorted() == ids)
        #expect(history.allSatisfy { $0.verdict == "done" && $0.readCount == 1 })
        #expect(daemons.allSatisfy { !$0.log.contains("lease lost") })
    }

    @Test func `a handler that keeps a thread busy for longer than a visibility timeout runs once`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemons = try await Workers.start(
            2,
            Settings(database, queue: "work", workers: 1, visibilityTimeout: "12s", callDeadline: "3500ms"),
            ledger
        )
        try await database.send("work", [#"{"block": 18}"#])
        try await database.emptied("work")
        #expect(try await Workers.stop(daemons) == [0, 0])
        #expect(ledger.history().map(\.readCount) == [1])
    }
}
