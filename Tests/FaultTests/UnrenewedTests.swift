import PGMQ
import Postgres
import TestSupport
import Testing

/// The connection that renews cannot be had: the role, or the server, allows fewer than the daemon opens.
@Suite(.serialized) struct UnrenewedTests {
    /// Which of the connections are refused is a matter of luck: of the limits the test waits for the case that matters.
    @Test(arguments: [3, 2])
    func `a handler that outlasts its lease runs once where none is left to renew`(limit: Int) async throws {
        let (database, role, ledger, settings) = try await prepared()
        defer { ledger.remove() }
        try await database.sql("alter role \(role) connection limit \(limit)")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("it has a connection for work, and none to renew") {
            let roles = try await database.roles()
            if roles.count == limit, !roles.contains("renew") { return roles.contains("work") }
            if roles.count == limit { try await database.terminate() }
            return false
        }
        try await database.send("work", [#"{"gated": 1}"#])
        try await eventually("it runs") { ledger.starts.count == 1 }
        try await database.leaseOutlasted("work")
        try await expectOneRun(daemon, database, ledger)
    }

    @Test func `a handler runs once when the connection that renews is lost and its place is taken`() async throws {
        let (database, role, ledger, settings) = try await prepared()
        defer { ledger.remove() }
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await database.send("work", [#"{"gated": 1}"#])
        try await eventually("it runs, and all connections stand") {
            try await database.backends() == 4 && ledger.starts.count == 1
        }
        let other = try await Connection.open(url: settings.url, application: "other", deadline: .seconds(40))
        // Those that stand are not ended by a limit.
        try await database.sql("alter role \(role) connection limit 4")
        try await database.terminate("renew")
        try await eventually("it cannot renew") { try await database.roles() == ["listen", "work", "work"] }
        try await database.leaseOutlasted("work")
        #expect(try await database.roles() == ["listen", "work", "work"])
        try await expectOneRun(daemon, database, ledger)
        await other.close()
    }

    private func prepared() async throws -> (TestDatabase, role: String, Ledger, Settings) {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let role = "limited_\(database.name)"
        try await database.sql("create role \(role) login")
        try await database.grant("work", to: role)
        var settings = Settings(database, queue: "work", visibilityTimeout: "15s", callDeadline: "3s")
        settings.url = database.url.replacing("user=postgres", with: "user=\(role)")
        return (database, role, Ledger(), settings)
    }

    private func expectOneRun(_ daemon: DaemonProcess, _ database: TestDatabase, _ ledger: Ledger) async throws {
        #expect(ledger.ends.isEmpty)
        ledger.openGate()
        try await eventually("it is done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.starts.count == 1)
        #expect(ledger.ends.map(\.verdict) == ["done"])
        #expect(!daemon.log.contains("lease lost"))
    }
}
