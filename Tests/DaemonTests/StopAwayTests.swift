import Glibc
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// SIGTERM while the database does not answer: with nothing in hand nobody waits for it. The grace is an hour, so a daemon
/// that does wait never ends.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StopAwayTests {
    private static func patient(_ settings: Settings) -> Settings {
        var settings = settings
        settings.daemon.append("shutdown_grace = \"1h\"")
        return settings
    }

    @Test func `a daemon whose database was never there stops at once`() async throws {
        let folder = try TestFolder()
        var settings = Settings(url: "postgresql:///app?host=\(folder.path)&user=postgres")
        settings.add(queue: "work", visibilityTimeout: "10m")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await Workers.start(Self.patient(settings), ledger)
        try await daemon.logged("database unreachable")
        #expect(try await daemon.stop() == 0)
    }

    @Test func `a daemon whose database was stopped stops at once`() async throws {
        try await withIdleDaemon { daemon, server, _ in
            await server.postgres.stop(.fast)
            try await daemon.logged("database unreachable")
            #expect(try await daemon.stop() == 0)
        }
    }

    /// Its connections stand, and nothing comes back. The daemon may know it yet, or not.
    @Test(arguments: [true, false])
    func `a daemon whose database is frozen stops at once`(isKnown: Bool) async throws {
        try await withIdleDaemon { daemon, _, database in
            let frozen = try await database.processes()
            for process in frozen { kill(process, SIGSTOP) }
            defer { for process in frozen { kill(process, SIGCONT) } }
            if isKnown { try await daemon.logged("database unreachable") }
            #expect(try await daemon.stop() == 0)
        }
    }

    /// One message has been done, and nothing is in hand.
    private func withIdleDaemon(
        _ test: (DaemonProcess, TestServer, TestDatabase) async throws -> Void
    ) async throws {
        let server = try await TestServer()
        do {
            let database = try await server.database()
            try await database.createQueue("work")
            let ledger = Ledger()
            defer { ledger.remove() }
            let settings = Settings(database, queue: "work", visibilityTimeout: "10m", callDeadline: "2s")
            let daemon = try await Workers.start(Self.patient(settings), ledger)
            try await database.send("work", ["{}"])
            try await database.emptied("work")
            try await test(daemon, server, database)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }
}

extension TestDatabase {
    /// The server's own process, and those of the daemon's connections.
    fileprivate func processes() async throws -> [Int32] {
        let rows = try await sql(
            """
            select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int
            union all
            select pid from pg_stat_activity where application_name like 'pgmqd %'
            """
        )
        return (0..<rows.count).map { Int32(rows.int($0, 0)) }
    }
}
