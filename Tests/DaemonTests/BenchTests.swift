import Foundation
import TestSupport
import Testing

/// `pgmqd bench` leaves no queue behind.
@Suite(.serialized) struct BenchTests {
    private func scratchQueues(_ database: TestDatabase) async throws -> Int {
        try await database.int(
            """
            select (select count(*) from pgmq.meta where queue_name like 'pgmqd\\_bench%')
                + (select count(*) from pg_tables where tablename like '%pgmqd\\_bench%')
            """
        )
    }

    @Test func `it measures and drops its queue`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("bystander")
        try await database.send("bystander", ["1"])
        let run = try await ProgramRun(
            ["bench", "--messages", "1000", "--rounds", "1", "--database", database.url]
        )
        #expect(run.code == 0, "\(run.errors)")
        #expect(run.text.contains("ratio"))
        #expect(try await scratchQueues(database) == 0)
        #expect(try await database.int("select sum(read_ct) from pgmq.q_bystander") == 0)
    }

    @Test func `Ctrl-C drops it too`() async throws {
        let database = try await TestServer.common().database()
        let bench = try DaemonProcess(
            "",
            arguments: ["bench", "--messages", "1000", "--rounds", "99", "--database", database.url]
        )
        try await bench.logged("round 1:")
        #expect(try await scratchQueues(database) > 0)
        bench.signal(SIGINT)
        #expect(try await bench.exit() == 1)
        #expect(bench.log.contains("interrupted"))
        #expect(!bench.log.contains("drop_queue"))
        #expect(try await scratchQueues(database) == 0)
    }
}
