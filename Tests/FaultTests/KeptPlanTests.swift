import Postgres
import TestSupport
import Testing

/// Plans are kept, and hold whatever becomes of the queue and of the connection.
@Suite(.serialized) struct KeptPlanTests {
    /// Of the settlement's plan: the claim has an order, and with it but one index.
    @Test func `a plan made for an empty queue serves a full one`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        for table in ["pgmq.q_work", "pgmq.q_work_dlq", "pgmqd.journal"] {
            try await database.sql("alter table \(table) set (autovacuum_enabled = false)")
        }
        // One message is left, on the last of many pages: the planner takes it for the only row there will be.
        let parked =
            "insert into pgmq.q_work (vt, message) select now() + interval '1 day', '{}' from generate_series(1, 5000)"
        try await database.sql(parked)
        try await database.sql("delete from pgmq.q_work where msg_id < 5000")
        try await database.sql("vacuum analyze pgmq.q_work")
        let settings = Settings(database, queue: "work", handler: "{ discard = true }")
        let daemon = try DaemonProcess(settings.text)
        try await daemon.ready()
        // Enough for a connection to have its plans.
        for _ in 0..<20 {
            _ = try await database.send("work", ["{}"])
            try await eventually("it is settled") { try await database.count("work") == 1 }
        }
        let flood = 20_000
        let read = "select idx_tup_read from pg_stat_user_indexes where indexrelid = 'pgmq.q_work_pkey'::regclass"
        let deleted = "select n_tup_del from pg_stat_user_tables where relid = 'pgmq.q_work'::regclass"
        let before = try await (read: database.int(read), deleted: database.int(deleted))
        try await database.sql(
            "insert into pgmq.q_work (vt, message) select now(), '{}' from generate_series(1, \(flood))"
        )
        // Through no index, because what is read there is counted.
        let left = "select count(*) from pgmq.q_work where message is not null"
        try await eventually("all are settled") { try await database.int(left) == 1 }
        #expect(try await daemon.stop() == 0)
        // Before PostgreSQL 15 a session reports the last of its work when it ends.
        try await eventually("the server has counted") { try await database.int(deleted) >= before.deleted + flood }
        let entries = try await database.int(read) - before.read
        #expect(entries / flood < 12, "entries of the primary key read for a message")
    }

    @Test func `through PgBouncer in transaction mode nothing is left prepared on the server`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        let bouncer = try await PgBouncer(before: server)
        let connection = try await Connection.open(url: bouncer.url(database), deadline: .seconds(60))
        let kept = Statement("select 1", keepsPlan: true)
        for _ in 0..<3 {
            _ = try await connection.transaction([kept], limits: Limits(deadline: .seconds(10)))
        }
        let names = Statement("select count(*) from pg_prepared_statements")
        #expect(try await connection.run([names], deadline: .seconds(10))[0].int(0, 0) == 0)
        await connection.close()
    }
}
