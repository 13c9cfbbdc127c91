import PGMQWorker
import TestSupport
import Testing

/// PostgreSQL goes and comes back.
@Suite(.serialized) struct OutageTests {
    @Test func `two hundred in flight through outages longer than the lease are simply done`() async throws {
        let server = try await TestServer()
        do {
            try await outagesLongerThanTheLease(server)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    private func outagesLongerThanTheLease(_ server: TestServer) async throws {
        let database = try await server.database()
        try await database.createQueue("work", bell: true)
        let ledger = Ledger()
        defer { ledger.remove() }
        // The short ones end while the server is away, the long ones lose their leases.
        let short = try await database.send("work", Array(repeating: #"{"sleep":1.5}"#, count: 100))
        let long = Set(try await database.send("work", Array(repeating: #"{"gated":1}"#, count: 100)))
        // Read by others before, so that every claim is journaled.
        try await database.setReadCount("work", 20)
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", workers: 200, visibilityTimeout: "10s").text,
            program: "LedgerDaemon",
            environment: ledger.environment
        )
        try await eventually("all have begun, and the long ones run") {
            ledger.runs.count == 200 && ledger.running.isSuperset(of: long)
        }
        for outage in 1...3 {
            await server.postgres.stop(.fast)
            try await eventually("the long ones are cancelled (\(outage))") { ledger.running.isEmpty }
            try await server.postgres.start()
            try await eventually("the long ones run again, all at once (\(outage))") { ledger.running == long }
        }
        ledger.openGate()
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        let runs = ledger.runs
        #expect(short.allSatisfy { runs[$0] == 1 })
        #expect(long.allSatisfy { runs[$0, default: 0] >= 4 })
        #expect(Set(ledger.ends("done").map(\.id)) == long.union(short))
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 })
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test(arguments: [EmbeddedPostgres.StopMode.fast, .kill])
    func `a server that goes away under load loses nothing and ends no daemon`(
        mode: EmbeddedPostgres.StopMode
    ) async throws {
        let server = try await TestServer()
        do {
            try await awayUnderLoad(server, mode)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    private static func secondsAway(_ status: String) -> Int {
        guard let told = status.firstMatch(of: /Database unreachable for ([0-9]+) s/) else { return 0 }
        return Int(told.1) ?? 0
    }

    private func awayUnderLoad(_ server: TestServer, _ mode: EmbeddedPostgres.StopMode) async throws {
        let database = try await server.database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let manager = try NotifySocket()
        let daemon = try DaemonProcess(
            Settings(database, queue: "work").text,
            program: "LedgerDaemon",
            environment: ledger.environment.merging(manager.environment) { $1 }
        )
        try await daemon.ready()
        var ids: [Int64] = []
        for _ in 0..<10 { ids += try await database.send("work", Array(repeating: #"{"sleep":0.01}"#, count: 500)) }
        try await eventually("it is at work") { ledger.ends.count > 500 }
        await server.postgres.stop(mode)
        try await eventually("the status line says so for twenty seconds") {
            manager.statuses.contains { Self.secondsAway($0) >= 20 }
        }
        // The watchdog is fed in a state that is declared and told.
        let fed = manager.lines().count { $0 == "WATCHDOG=1" }
        try await eventually("the watchdog is fed") { manager.lines().count { $0 == "WATCHDOG=1" } > fed }
        #expect(daemon.isRunning)
        try await server.postgres.start()
        try await eventually("the status line says that it goes on") {
            manager.statuses.last?.contains("Processing") ?? false
        }
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(Set(ledger.ends("done").map(\.id)) == Set(ids))
        // Only a claim or a lease that the outage took can make a second run, and only of what was in flight.
        #expect(ledger.runs.values.count { $0 > 1 } <= 200)
        #expect(daemon.log.split(separator: "\n").count { $0.contains("database unreachable") } == 1)
        #expect(daemon.log.split(separator: "\n").count { $0.contains("database reachable again") } == 1)
        #expect(try await database.count("work_dlq") == 0)
    }
}
