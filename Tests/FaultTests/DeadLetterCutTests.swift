import Postgres
import Synchronization
import TestSupport
import Testing

/// The connection is cut around the commit of the dead-letter transaction.
@Suite struct DeadLetterCutTests {
    @Test(arguments: [
        PostgresProxy.Action.cutBefore, .cutBeforeSync, .swallowReply(rowsAtLeast: 0),
    ])
    func `a dead letter whose connection is cut makes neither a loss nor a second copy`(
        cut: PostgresProxy.Action
    ) async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        // The first try of each message is cut, then the connection stays.
        let tries = Mutex(0)
        let cuts = Mutex(0)
        proxy.onPipeline { text in
            guard text.contains(Mark.deadLetter) else { return .pass }
            let isFirst = tries.withLock { tries in
                tries += 1
                return tries == 1
            }
            if isFirst { cuts.withLock { $0 += 1 } }
            return isFirst ? cut : .pass
        }
        var settings = Settings(database, queue: "work", visibilityTimeout: "30s")
        settings.url = proxy.url(database)
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        var ids: [Int64] = []
        for number in 1...25 {
            tries.withLock { $0 = 0 }
            ids += try await database.send("work", [#"{"deadLetter":"no use"}"#])
            try await eventually("dead letter \(number) arrives") {
                try await database.int("select count(*) from pgmq.q_work_dlq") >= number
            }
            // A cut connection leaves its reply unknown, and the same is sent again.
            try await eventually("the settlement was repeated") { tries.withLock { $0 } >= 2 }
        }
        #expect(try await daemon.stop() == 0)
        #expect(cuts.withLock { $0 } == 25)
        #expect(try await database.count("work") == 0)
        #expect(try await database.count("work_dlq") == 25)
        #expect(try await deadLetters(database) == ids)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `cuts at random around many dead letters at once make neither a loss nor a second copy`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let ledger = Ledger()
        defer { ledger.remove() }
        let cuts = Mutex(0)
        proxy.onPipeline { text in
            guard text.contains(Mark.deadLetter), cuts.withLock({ $0 }) < 25, Bool.random() else { return .pass }
            cuts.withLock { $0 += 1 }
            return [.cutBefore, .cutBeforeSync, .swallowReply(rowsAtLeast: 0)].randomElement() ?? .pass
        }
        var settings = Settings(database, queue: "work", visibilityTimeout: "30s", extra: ["max_attempts = 1"])
        settings.url = proxy.url(database)
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        var ids: [Int64] = []
        while cuts.withLock({ $0 }) < 25 {
            ids += try await database.send("work", Array(repeating: #"{"fail":-1}"#, count: 20))
            try await eventually("all are dead letters") { try await database.count("work_dlq") >= ids.count }
        }
        #expect(try await daemon.stop() == 0)
        #expect(try await database.count("work") == 0)
        #expect(try await deadLetters(database) == ids)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    /// The ids that the dead letters had, one entry a copy.
    private func deadLetters(_ database: TestDatabase) async throws -> [Int64] {
        let rows = try await database.sql(
            "select (headers->'x-pgmqd'->>'msg_id')::bigint from pgmq.q_work_dlq order by 1"
        )
        return (0..<rows.count).map { rows.int($0, 0) }
    }
}
