import Foundation
import PGMQ
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// Messages are begun by a daemon that sleeps, or that polls where nobody can wake it. How soon, `deploy/bench wake`
/// says.
@Suite(.serialized) struct WakeTests {
    @Test func `a sleeping daemon starts a message at once and a delayed one when it is due`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", extra: ["poll_interval = \"1h\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        let sender = Sender(database: database, ledger: ledger)
        for _ in 1...2 {
            try await database.asleep()
            try await sender.send()
            // Due after the looks that follow falling asleep.
            try await database.asleep()
            try await sender.send(delay: 6)
            let before = try await database.pids()
            try await database.sql(Self.terminate)
            try await eventually("all connections are new") {
                let now = try await database.pids()
                return now.count == 4 && now.isDisjoint(with: before)
            }
        }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    /// An earlier version's doorbell asked only in its function whether somebody sleeps.
    @Test(arguments: [true, false])
    func `a producer without rights in our schema wakes a sleeping daemon`(asksInCondition: Bool) async throws {
        let database = try await TestServer.common().database()
        let role = "producer_\(database.name)"
        try await database.createQueue("work", bell: asksInCondition)
        if !asksInCondition {
            let bare = "create trigger pgmqd_doorbell after insert on pgmq.q_work for each statement"
            try await database.sql("\(bare) execute function pgmqd.doorbell('work')")
        }
        try await database.sql("create role \(role)")
        try await database.sql("grant usage on schema pgmq to \(role)")
        try await database.sql("grant insert on pgmq.q_work to \(role)")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", extra: ["poll_interval = \"1h\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        try await database.asleep()
        _ = try await database.connected { connection in
            try await connection.run(
                [
                    Statement("set role \(role)"),
                    Statement("insert into pgmq.q_work (vt, message) values (clock_timestamp(), '{}')"),
                ],
                deadline: .seconds(10)
            )
        }
        try await eventually("it is done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
    }

    /// Restored to a server that makes another key of the queue's name, it would never ring.
    @Test func `where the doorbell asks for another lock than ours the queue is polled`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work", bell: false)
        try await database.sql(
            """
            create trigger pgmqd_doorbell after insert on pgmq.q_work for each statement
            when (not (pg_try_advisory_lock(1) and pg_advisory_unlock(1))) execute function pgmqd.doorbell('work')
            """
        )
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", extra: ["poll_interval = \"1h\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        try await database.polled()
        try await database.send("work", ["{}"])
        try await eventually("it is done") { try await database.count("work") == 0 }
        // Hung anew it is relied on, once the queue is looked at again: now and then, and with every new connection.
        let hanging = try await database.connected { try await Schema($0).hangDoorbell(on: QueueName("work")) }
        #expect(hanging == .hung)
        let work = "datname = current_database() and application_name = 'pgmqd work'"
        try await database.sql("select pg_terminate_backend(pid) from pg_stat_activity where \(work)")
        try await database.asleep()
        try await database.send("work", ["{}"])
        try await eventually("it is done, too") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
    }

    /// Somebody else has them on, and nobody has hung the doorbell.
    @Test(arguments: zip([TestPGMQ.v1_13_0, .v1_11_1], ["work", "my-queue"]))
    func `PGMQ's own notifications wake a sleeping daemon`(pgmq: TestPGMQ, queue: String) async throws {
        let database = try await TestServer.common(pgmq).database()
        try await database.createQueue(queue, bell: false)
        try await database.sql("select pgmq.enable_notify_insert($1, 250)", [.text(queue)])
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: queue, extra: ["poll_interval = \"1h\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        // Two, twice, within the throttle: the second rings no bell. Nothing polls for an hour.
        for _ in 1...2 {
            try await database.asleep()
            try await database.send(queue, ["{}"])
            try await database.send(queue, ["{}"])
            try await eventually("both are done") { try await database.count(queue) == 0 }
        }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    /// PGMQ's trigger never rings for a name with capitals.
    @Test(arguments: [TestPGMQ.v1_13_0, .v1_11_1])
    func `where PGMQ's own notifications are silent the queue is polled`(pgmq: TestPGMQ) async throws {
        let database = try await TestServer.common(pgmq).database()
        try await database.createQueue("MyQ", bell: false)
        try await polls(database, "MyQ")
    }

    /// Nor for a partition's.
    @Test(
        .enabled(if: TestPostgres.hasPartman, "pg_partman comes with the system's PostgreSQL only"),
        arguments: [TestPGMQ.v1_13_0, .v1_11_1]
    )
    func `a partitioned queue with PGMQ's own notifications is polled`(pgmq: TestPGMQ) async throws {
        let database = try await TestServer.common(pgmq).database()
        try await database.sql("create extension pg_partman")
        try await database.createQueue("parts", how: "create_partitioned", bell: false)
        for column in ["msg_id", "vt"] { try await database.sql("create index on pgmq.q_parts (\(column))") }
        try await polls(database, "parts")
    }

    private func polls(_ database: TestDatabase, _ queue: String) async throws {
        try await database.sql("select pgmq.enable_notify_insert($1, 250)", [.text(queue)])
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: queue, extra: ["poll_interval = \"1h\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        try await database.polled()
        try await database.send(queue, ["{}"])
        try await eventually("it is done") { try await database.count(queue) == 0 }
        #expect(try await daemon.stop() == 0)
    }

    @Test func `LISTEN through PgBouncer in transaction mode is found deaf and the queue is polled`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let bouncer = try await PgBouncer(before: server)
        let ledger = Ledger()
        defer { ledger.remove() }
        let manager = try NotifySocket()
        var settings = Settings(database, queue: "work", extra: ["poll_interval = \"1h\""])
        settings.url = bouncer.url(database)
        let daemon = try DaemonProcess(
            settings.text,
            program: "LedgerDaemon",
            environment: ledger.environment.merging(manager.environment) { $1 }
        )
        try await daemon.ready()
        try await daemon.logged("LISTEN delivers no notifications")
        try await daemon.logged("PgBouncer in transaction mode, set database.listen_url")
        try await eventually("the status line says so") {
            manager.statuses.last?.contains("LISTEN delivers no notifications") ?? false
        }
        let sender = Sender(database: database, ledger: ledger)
        for _ in 1...2 {
            try await sender.send()
            try await sender.send(delay: 2)
            try await database.sql(Self.terminate)
        }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    @Test func `a direct listen_url beside PgBouncer is not deaf`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let bouncer = try await PgBouncer(before: server)
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", extra: ["poll_interval = \"1h\""])
        settings.url = bouncer.url(database)
        settings.database.append("listen_url = \"\(database.url)\"")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let sender = Sender(database: database, ledger: ledger)
        for _ in 0..<2 {
            // Deaf it would poll every second.
            try await database.asleep()
            try await sender.send()
        }
        #expect(try await daemon.stop() == 0)
    }

    /// Sends one message at a time.
    private struct Sender {
        let database: TestDatabase
        let ledger: Ledger

        /// Returns when the handler has begun it, which must not be before the delay (in seconds) is over.
        func send(delay: Int = 0) async throws {
            let sent = monotonicNow()
            let id = try await database.send("work", ["{}"], delay: .seconds(delay))[0]
            try await eventually("message \(id) is begun") { ledger.starts.contains { $0.id == id } }
            let start = try #require(ledger.starts.first { $0.id == id }?.time)
            #expect(start >= sent + UInt64(delay) * 1_000_000_000)
        }
    }

    private static let terminate = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        """
}

extension TestDatabase {
    /// Of the daemon's connections.
    fileprivate func pids() async throws -> Set<Int64> {
        let rows = try await sql(
            """
            select pid from pg_stat_activity
            where datname = current_database() and application_name like 'pgmqd %'
            """
        )
        return Set((0..<rows.count).map { rows.int($0, 0) })
    }

    /// Returns when the daemon has asked later than by the looks that follow falling asleep: who trusts a trigger looks
    /// no more then.
    fileprivate func polled() async throws {
        let now = try #require(try await text("select clock_timestamp()::text"))
        let question = Statement(
            """
            select max(query_start) > $1::timestamptz + interval '8 s' from pg_stat_activity
            where datname = current_database() and application_name = 'pgmqd work'
            """,
            [.text(now)]
        )
        try await connected { connection in
            try await eventually("the queue is polled") {
                try await connection.run([question], deadline: .seconds(10))[0].bool(0, 0)
            }
        }
    }

    /// Returns when the daemon has asked nothing for longer than between any two of the looks that follow falling
    /// asleep: only a bell or the timer of a due message wakes it soon.
    fileprivate func asleep() async throws {
        let question = Statement(
            """
            select extract(epoch from min(clock_timestamp() - query_start)) > 3.5
            from pg_stat_activity where datname = current_database() and application_name = 'pgmqd work'
            """
        )
        try await connected { connection in
            try await eventually("the daemon sleeps") {
                try await connection.run([question], deadline: .seconds(10))[0].bool(0, 0)
            }
        }
    }
}
