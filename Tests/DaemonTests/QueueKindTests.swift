import Foundation
import Postgres
import TestSupport
import Testing

/// Queues of every name and kind that PGMQ makes.
@Suite struct QueueKindTests {
    @Test func `queues with a hyphen, with capitals and without a log work`() async throws {
        let database = try await TestServer.common().database()
        let ledger = Ledger()
        defer { ledger.remove() }
        try await database.createQueue("my-queue")
        try await database.createQueue("MyQ")
        try await database.createQueue("bare", how: "create_unlogged")
        var settings = Settings(url: database.url)
        settings.add(queue: "my-queue", extra: ["on_success = \"archive\""])
        settings.add(queue: "MyQ")
        settings.add(queue: "bare")
        let daemon = try await Workers.start(settings, ledger)
        for queue in ["my-queue", "MyQ", "bare"] {
            // Through PGMQ itself, under the name as it is written; and found asleep.
            try await database.sql("select pgmq.send($1, '{}')", [.text(queue)])
            try await database.sql("select pgmq.send($1, '{\"deadLetter\": \"no\"}')", [.text(queue)])
        }
        for queue in ["my-queue", "MyQ", "bare"] {
            try await database.emptied(queue)
            #expect(try await database.count("\(queue)_dlq") == 1)
        }
        #expect(try await daemon.stop() == 0)
        #expect(Set(ledger.starts.map(\.queue)) == ["my-queue", "myq", "bare"])
        #expect(ledger.starts.count == 6)
        #expect(try await database.int(#"select count(*) from pgmq."a_my-queue""#) == 1)
    }

    @Test func `a queue that is configured in lower case and was made in capitals is the same`() async throws {
        let database = try await TestServer.common().database()
        let ledger = Ledger()
        defer { ledger.remove() }
        try await database.createQueue("MyQ")
        let daemon = try await Workers.start(Settings(database, queue: "myq"), ledger)
        try await database.sql("select pgmq.send('MyQ', '{}')")
        try await database.emptied("myq")
        #expect(try await daemon.stop() == 0)
    }

    /// Partitioned by number PGMQ gives it an index on `msg_id`, by time none of use.
    @Test(
        .enabled(if: TestPostgres.hasPartman, "pg_partman comes with the system's PostgreSQL only"),
        arguments: [("'10', '100'", 1), ("'1 day', '7 days'", 2)]
    )
    func `a partitioned queue is refused until it has its indexes, with what to do`(
        partitioning: String,
        missing: Int
    ) async throws {
        let database = try await TestServer.common().database()
        let ledger = Ledger()
        defer { ledger.remove() }
        try await database.sql("create extension pg_partman")
        try await database.sql("select pgmq.create_partitioned('parts', \(partitioning))")
        try await database.sql("select pgmq.create('parts_dlq')")
        let settings = Settings(database, queue: "parts")
        let daemon = try await Workers.start(settings, ledger)
        // Over several partitions.
        let ids = try await database.send("parts", [#"{"deadLetter": "no"}"#] + Array(repeating: "{}", count: 34))

        // Refused, by both, in the same words.
        try await daemon.logged("queue paused")
        for text in ["has no index on", "pgmqd migrate"] { #expect(daemon.log.contains(text)) }
        let folder = try TestFolder()
        let discarding = Settings(database, queue: "parts", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", discarding.text)
        let refused = try await ProgramRun(["check", "--connect", "-c", file])
        #expect(refused.code == 78)
        #expect(refused.errors.contains("has no index on"))
        #expect(try await database.int("select sum(read_ct) from pgmq.q_parts") == 0)

        // What migrate prints is what helps.
        let printed = try await ProgramRun(["migrate", "-c", file])
        #expect(printed.code == 0)
        let statements = printed.lines.compactMap { line in
            line.range(of: "create index").map { String(line[$0.lowerBound...]) }
        }
        #expect(statements.count == missing)
        for statement in statements { try await database.sql(statement) }
        #expect(try await ProgramRun(["check", "--connect", "-c", file]).code == 0)
        try await daemon.logged("queue resumed")
        try await database.emptied("parts")
        #expect(Set(ledger.starts.map(\.id)) == Set(ids))
        #expect(ledger.starts.count == ids.count)
        #expect(try await database.count("parts_dlq") == 1)
        // Found asleep, by the doorbell that migrate hung; retried, renewed.
        try await database.send("parts", [#"{"fail": 1, "sleep": 3}"#])
        try await database.emptied("parts")
        #expect(try await daemon.stop() == 0)
    }
}
