import Glibc
import Synchronization
import TestSupport
import Testing

/// What must not be taken for a loop that hangs.
@Suite(.serialized) struct WatchdogTests {
    @Test func `queues that stand in line for a slow server are fed for`() async throws {
        let database = try await TestServer.common().database()
        let ledger = Ledger()
        defer { ledger.remove() }
        let manager = try NotifySocket()
        var settings = Settings(url: database.url)
        settings.database = ["call_deadline = \"2s\""]
        // Every call takes most of its deadline; the last in a line of 32 waits for longer than four of them.
        try await database.sql(
            """
            create function slow() returns trigger language plpgsql as $$
            begin perform pg_sleep(0.8); return null; end $$
            """
        )
        let queues = (1...16).map { "work\($0)" }
        for queue in queues {
            try await database.createQueue(queue)
            try await database.send(queue, Array(repeating: #"{"sleep": 0.05}"#, count: 200))
            try await database.sql(
                "create trigger slow before update on pgmq.q_\(queue) for each statement execute function slow()"
            )
            settings.add(queue: queue, workers: 2, visibilityTimeout: "30s")
        }
        let daemon = try DaemonProcess(
            settings.text,
            program: "LedgerDaemon",
            environment: ledger.environment.merging(manager.environment) { $1 }
        )
        try await daemon.ready()
        try await eventually("it is fed a dozen times") { manager.lines().count { $0 == "WATCHDOG=1" } > 12 }
        #expect(!daemon.log.contains("loop stalled"))
        for queue in queues { try await database.sql("drop trigger slow on pgmq.q_\(queue)") }
        try await eventually("all is done") { ledger.ends.count >= 200 * queues.count }
        let last = try await database.send("work1", [#"{"gated": 1}"#])
        try await eventually("one runs") { ledger.starts.contains { $0.id == last[0] && $0.queue == "work1" } }
        daemon.signal(SIGTERM)
        // The end may take the grace, and the manager is told how long to wait for it.
        try await eventually("the service manager is told") {
            let lines = manager.lines()
            return lines.contains("STOPPING=1") && lines.contains { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") }
        }
        ledger.openGate()
        #expect(try await daemon.exit() == 0)
    }

    /// Else a unit that works would be killed for not being ready in time.
    @Test func `what the service manager had no room for is told again`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let manager = try NotifySocket(listens: false)
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", handler: "{ discard = true }").text,
            program: "LedgerDaemon",
            environment: manager.environment
        )
        try await daemon.ready()
        manager.listen()
        try await eventually("the service manager is told") {
            let lines = manager.lines()
            return lines.contains("READY=1") && lines.contains { $0.hasPrefix("STATUS=Processing") }
        }
        #expect(try await daemon.stop() == 0)
        try await eventually("and once only") { manager.lines().contains("STOPPING=1") }
        #expect(manager.lines().count { $0 == "READY=1" } == 1)
        #expect(manager.lines().count { $0 == "STOPPING=1" } == 1)
    }

    @Test func `a LISTEN connection that cannot be had holds up no queue`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.createQueue("work")
        let proxy = try PostgresProxy(to: server)
        let ledger = Ledger()
        defer { ledger.remove() }
        let manager = try NotifySocket()
        let extra = [#"poll_interval = "1h""#]
        var settings = Settings(database, queue: "work", workers: 1, visibilityTimeout: "10s", extra: extra)
        settings.database = ["call_deadline = \"2s\"", "listen_url = \"\(proxy.url(database))\""]
        let daemon = try DaemonProcess(
            settings.text,
            program: "LedgerDaemon",
            environment: ledger.environment.merging(manager.environment) { $1 }
        )
        try await daemon.ready()
        try await eventually("producers are asked to ring") {
            try await database.int(
                """
                select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock'
                    and database = (select oid from pg_database where datname = current_database())
                """
            ) == 1
        }
        // The connection is busy with its ping when the queue awakes and wants to be rung no more; then there is none.
        let isHeld = Mutex(false)
        proxy.onPipeline { _ in
            isHeld.withLock { $0 = true }
            return .hold
        }
        try await eventually("the ping is held") { isHeld.withLock { $0 } }
        try await database.send("work", Array(repeating: #"{"sleep": 0.001}"#, count: 1000))
        try await eventually("some are begun") { ledger.starts.count > 100 }
        proxy.close()
        try await eventually("all is done") { try await database.count("work") == 0 }
        let fed = manager.lines().count { $0 == "WATCHDOG=1" }
        try await eventually("it is fed all the time") { manager.lines().count { $0 == "WATCHDOG=1" } > fed + 6 }
        #expect(!daemon.log.contains("loop stalled"))
        try await eventually("both are told") {
            daemon.log.contains("database.listen_url unreachable")
                && manager.statuses.last?.contains("the LISTEN connection is unreachable") ?? false
        }
        // Nobody rings; it is polled.
        try await database.send("work", ["{}"])
        try await eventually("it is done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
    }
}
