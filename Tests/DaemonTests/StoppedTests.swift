import Glibc
import Postgres
import TestSupport
import Testing

/// A daemon that is stopped for longer than the visibility timeout, and goes on as if nothing had been.
@Suite(.serialized) struct StoppedTests {
    /// Lets the lease end, has another client claim the message for ten minutes, and wakes the daemon.
    /// - Returns: the row, as the other client's claim left it.
    private func overtake(_ daemon: DaemonProcess, _ database: TestDatabase) async throws -> String {
        try await eventually("the lease has ended") {
            try await database.int("select count(*) from pgmq.q_work where vt > clock_timestamp()") == 0
        }
        #expect(try await database.int("select count(*) from pgmq.read('work', 600, 1)") == 1)
        let row = try await self.row(database)
        daemon.signal(SIGCONT)
        return row
    }

    /// Stops the daemon at a moment when the server has nothing of it: no statement runs, is on its way, or was
    /// answered just now. Else its end would be unknown to the daemon, which is another story.
    private func stopBetweenStatements(_ daemon: DaemonProcess, _ database: TestDatabase) async throws {
        func busy(since time: String) async throws -> Bool {
            try await database.int(
                """
                select count(*) from pg_stat_activity where datname = current_database() and application_name = 'pgmqd work'
                and (state = 'active' or state_change > \(time))
                """
            ) > 0
        }
        var isBetween = false
        while !isBetween {
            try await eventually("it waits") { try await !busy(since: "clock_timestamp() - interval '30 ms'") }
            daemon.signal(SIGSTOP)
            let stopped = try await database.text("select (clock_timestamp() - interval '30 ms')::text") ?? ""
            try await eventually("whatever was on its way has come") {
                try await database.int(
                    "select (clock_timestamp() > '\(stopped)'::timestamptz + interval '200 ms')::int"
                ) == 1
            }
            isBetween = try await !busy(since: "'\(stopped)'")
            if !isBetween { daemon.signal(SIGCONT) }
        }
    }

    private func row(_ database: TestDatabase) async throws -> String {
        try #require(try await database.text("select q::text from pgmq.q_work q"))
    }

    @Test func `its handler is cancelled, the loss counted and logged, and the row left alone`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(
            Settings(database, queue: "work", visibilityTimeout: "10s", callDeadline: "3s"),
            ledger
        )
        let id = try await database.send("work", [#"{"sleep": 600}"#])[0]
        try await eventually("the handler runs") { ledger.starts.count == 1 }
        daemon.signal(SIGSTOP)
        let row = try await overtake(daemon, database)

        try await daemon.logged("lease lost")
        #expect(daemon.log.contains("\"msg_id\":\"\(id)\""))
        try await eventually("the handler is cancelled") { ledger.ends.map(\.verdict) == ["cancelled"] }
        daemon.signal(SIGUSR1)
        try await daemon.logged("\"lost\":\"1\"")
        #expect(try await daemon.stop() == 0)
        #expect(try await self.row(database) == row)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `what a handler achieves after its lease is lost settles nothing`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(
            Settings(database, queue: "work", visibilityTimeout: "10s", callDeadline: "3s"),
            ledger
        )
        try await database.send("work", [#"{"gated": 1, "stubborn": true}"#])
        try await eventually("the handler runs") { ledger.starts.count == 1 }
        daemon.signal(SIGSTOP)
        let row = try await overtake(daemon, database)

        try await daemon.logged("lease lost")
        ledger.openGate()
        try await eventually("the handler ends") { ledger.ends.count == 1 }
        #expect(try await daemon.stop() == 0)
        #expect(try await self.row(database) == row)
    }

    /// The outcome was decided in time and could not be written in time: the fence alone refuses it.
    @Test(arguments: ["", #", "fail": -1"#, #", "deadLetter": "no""#, #", "snooze": 1"#])
    func `a settlement that comes too late changes no row`(order: String) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(
            Settings(database, queue: "work", visibilityTimeout: "10s", callDeadline: "3s"),
            ledger
        )
        let row = try await database.connected { locker in
            func run(_ text: String) async throws {
                _ = try await locker.run([Statement(text)], deadline: .seconds(10))
            }
            try await database.send("work", [#"{"gated": 1\#(order)}"#])
            try await eventually("the handler runs") { ledger.starts.count == 1 }
            try await run("begin")
            // The settlement finds the row locked, and is still to be written when the daemon is stopped.
            try await run("select from pgmq.q_work for update")
            ledger.openGate()
            try await eventually("the handler has ended") { ledger.ends.count == 1 }
            // Its lease lasted: it is the fence that is tried.
            #expect(ledger.ends.map(\.verdict) != ["cancelled"])
            try await stopBetweenStatements(daemon, database)
            try await run("rollback")
            return try await overtake(daemon, database)
        }
        try await daemon.logged("lease lost")
        daemon.signal(SIGUSR1)
        try await daemon.logged("\"lost\":\"1\"")
        #expect(try await daemon.stop() == 0)
        #expect(try await self.row(database) == row)
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        #expect(ledger.starts.count == 1)
    }
}
