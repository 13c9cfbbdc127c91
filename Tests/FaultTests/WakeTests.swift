import Postgres
import TestSupport
import Testing

/// How soon a message is begun by a daemon that sleeps.
@Suite(.serialized) struct WakeTests {
    @Test func `a sleeping daemon starts a message at once and a delayed one when it is due`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", extra: ["poll_interval = \"15s\""]).text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await daemon.ready()
        let sender = Sender(database: database, ledger: ledger)
        for round in 1...2 {
            try await database.asleep()
            #expect(try await sender.delay() < 1, "round \(round)")
            // Due after the looks that follow falling asleep, and long before the safety poll.
            try await database.asleep()
            #expect(try await 0..<1 ~= sender.delay(beyond: 6), "round \(round)")
            let backends = try await database.text(Self.backends)
            try await database.sql(Self.terminate)
            try await eventually("all connections are new", within: .seconds(180)) {
                let now = try await (database.text(Self.backends), database.backends())
                return now.0 != backends && now.1 == 4
            }
        }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
    }

    @Test func `LISTEN through PgBouncer in transaction mode is found deaf and the queue is polled`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let bouncer = try await PgBouncer(before: server)
        let ledger = Ledger()
        defer { ledger.remove() }
        let manager = try NotifySocket()
        var settings = Settings(database, queue: "work", extra: ["poll_interval = \"15s\""])
        settings.url = bouncer.url(database)
        let daemon = try DaemonProcess(
            settings.text,
            program: "LedgerDaemon",
            environment: ledger.environment.merging(manager.environment) { $1 }
        )
        try await daemon.ready()
        try await daemon.logged("LISTEN is deaf")
        try await daemon.logged("PgBouncer in transaction mode, set database.listen_url")
        try await eventually("the status line says so") { manager.statuses.last?.contains("LISTEN is deaf") ?? false }
        let sender = Sender(database: database, ledger: ledger)
        for round in 1...2 {
            #expect(try await sender.delay() < 5, "round \(round)")
            #expect(try await 0..<5 ~= sender.delay(beyond: 2), "round \(round)")
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
        var settings = Settings(database, queue: "work", extra: ["poll_interval = \"15s\""])
        settings.url = bouncer.url(database)
        settings.database.append("listen_url = \"\(database.url)\"")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let sender = Sender(database: database, ledger: ledger)
        for _ in 0..<2 {
            try await database.asleep()
            #expect(try await sender.delay() < 1)
        }
        #expect(try await daemon.stop() == 0)
        #expect(!daemon.log.contains("deaf"))
    }

    /// Sends one message at a time.
    private struct Sender {
        let database: TestDatabase
        let ledger: Ledger

        /// - Parameter seconds: the delay asked for.
        /// - Returns: seconds from before the send, and beyond that delay, to the handler's start.
        func delay(beyond seconds: Int = 0) async throws -> Double {
            let sent = monotonicNow()
            let id = try await database.send("work", ["{}"], delay: .seconds(seconds))[0]
            try await eventually("message \(id) is begun") { ledger.starts.contains { $0.id == id } }
            let start = ledger.starts.first { $0.id == id }?.time ?? 0
            return (Double(start) - Double(sent)) / 1e9 - Double(seconds)
        }
    }

    private static let backends = """
        select string_agg(pid::text, ' ' order by pid) from pg_stat_activity
        where datname = current_database() and application_name like 'pgmqd %'
        """

    private static let terminate = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        """
}

extension TestDatabase {
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
