import Glibc
import PGMQ
import Postgres
import Synchronization
import TestSupport
import Testing

/// A renewal that reaches the server after the message has been put off or handed back.
@Suite(.serialized) struct LateRenewalTests {
    private static let renewal = "for update of q skip locked"

    /// The daemon is quiet meanwhile, so that nobody but the renewal moves the row.
    @Test(arguments: [TestPGMQ.tested, .v1_5])
    func `a retry is due when its back-off says, though a renewal lands after it`(pgmq: TestPGMQ) async throws {
        try await withHeldRenewal(pgmq, #"{"gated": 1, "fail": 1}"#) { held in
            held.daemon.signal(SIGTSTP)
            held.ledger.openGate()
            let attempts = "select count(*) from pgmqd.journal where attempt is not null"
            try await eventually("the retry is settled") { try await held.database.int(attempts) == 1 }
            let due = try #require(try await held.database.text("select vt::text from pgmq.q_work"))
            try await held.land()
            // The renewal would make it nine seconds later. In the older shape it may, for a moment.
            try await eventually("it is due as before") {
                try await held.database.int(
                    "select count(*) from pgmq.q_work where vt < $1::timestamptz + interval '5 s'",
                    [.text(due)]
                ) == 1 && held.isSettled()
            }
            held.daemon.signal(SIGCONT)
            try await eventually("it is done") { try await held.database.count("work") == 0 }
            #expect(try await held.daemon.stop() == 0)
            #expect(held.ledger.ends.map(\.verdict) == ["failed", "done"])
            #expect(held.ledger.starts.map(\.attempt) == [1, 2])
            #expect(!held.daemon.log.contains("lease lost"))
        }
    }

    @Test(arguments: [TestPGMQ.tested, .v1_5])
    func `a message handed back by a stop is visible at once, though a renewal lands after it`(
        pgmq: TestPGMQ
    ) async throws {
        try await withHeldRenewal(pgmq, #"{"gated": 1}"#) { held in
            held.daemon.signal(SIGTERM)
            try await eventually("it is handed back") { try await held.visible() == 1 }
            try await held.land()
            #expect(try await held.daemon.exit() == 0)
            #expect(try await held.visible() == 1)
            #expect(held.ledger.ends.map(\.verdict) == ["cancelled"])
        }
    }

    private struct Held {
        let daemon: DaemonProcess
        let database: TestDatabase
        let ledger: Ledger
        let proxy: PostgresProxy

        func visible() async throws -> Int {
            try await database.int("select count(*) from pgmq.q_work where vt <= clock_timestamp()")
        }

        /// Nothing is left to be written.
        func isSettled() -> Bool {
            daemon.signal(SIGUSR1)
            return daemon.log.contains("\"unsettled\":\"0\"")
        }

        /// Lets the renewal go, and returns when the server has carried it out, or its connection is gone.
        func land() async throws {
            let now = try #require(try await database.text("select clock_timestamp()::text"))
            proxy.release()
            let open = """
                select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'pgmqd renew' and (query_start < $1::timestamptz or state <> 'idle')
                """
            try await eventually("it lands") { try await database.int(open, [.text(now)]) == 0 }
        }
    }

    /// A message runs, and the first renewal of its lease is held.
    private func withHeldRenewal(_ pgmq: TestPGMQ, _ body: String, _ test: (Held) async throws -> Void) async throws {
        let server = try await TestServer.common(pgmq)
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let isHeld = Mutex(false)
        proxy.onPipeline { text in
            guard text.contains(Self.renewal) else { return .pass }
            isHeld.withLock { $0 = true }
            return .hold
        }
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "18s",
            callDeadline: "5s",
            extra: [#"backoff = { first = "9s", jitter = 0.0 }"#]
        )
        settings.url = proxy.url(database)
        settings.daemon.append("shutdown_grace = \"0s\"")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await database.send("work", [body])
        try await eventually("it runs, and its renewal is held") { ledger.starts.count == 1 && isHeld.withLock { $0 } }
        try await test(Held(daemon: daemon, database: database, ledger: ledger, proxy: proxy))
    }
}
