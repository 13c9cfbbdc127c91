import Engine
import Glibc
import PGMQWorker
import TestSupport
import Testing

/// Leases of claims that the server has forgotten.
@Suite(.serialized) struct StaleLeaseTests {
    private static let reason: Comment = "without last_read_at a claim waits for the disk, and no crash takes it back"
    private static let logged: Comment = "before PostgreSQL 15 ids do not begin again: their sequence is logged"

    @Test(.enabled(if: TestPGMQ.tested.hasLastReadAt, Self.reason))
    func `a claim that a crash of the server took back settles and renews nothing`() async throws {
        // The claim commits without waiting for the disk, and nothing else brings it there.
        let server = try await TestServer(settings: ["wal_writer_delay": "10s", "autovacuum": "off"])
        try await removing(server) {
            let database = try await server.database()
            try await database.createQueue("work")
            try await database.send("work", ["{}", "{}", "{}"])
            let stale = Port(database, queue: "work")
            var leases: [Lease] = []
            try await eventually("a claim is lost in a crash") {
                try await database.sql("update pgmq.q_work set vt = now(), read_ct = 0, last_read_at = null")
                leases = try await stale.claim()
                await server.postgres.stop(.kill)
                try await server.postgres.start()
                return try await database.int("select sum(read_ct) from pgmq.q_work") == 0
            }
            #expect(leases.count == 3)
            let owner = Port(database, queue: "work")
            let owned = try await owner.claim()
            // What a fence on these alone would take for one and the same.
            #expect(owned.map(\.fence.messageID) == leases.map(\.fence.messageID))
            #expect(owned.map(\.fence.readCount) == leases.map(\.fence.readCount))
            try await expectNothing(of: stale, leases, database)
            #expect(try await owner.renew(owned) == [.renewed, .renewed, .renewed])
            #expect(try await owner.settle(owned, .done) == Set(owned.map(\.fence.messageID)))
            #expect(try await database.count("work") == 0)
        }
    }

    @Test(.enabled(if: TestPGMQ.tested.hasLastReadAt, Self.reason))
    func `a daemon loses the lease of a claim that a crash of the server took back`() async throws {
        let server = try await TestServer(settings: ["wal_writer_delay": "10s", "autovacuum": "off"])
        try await removing(server) {
            let database = try await server.database()
            try await database.createQueue("work")
            try await database.send("work", [#"{"gated": 1}"#])
            var settings = Settings(database, queue: "work", workers: 1, visibilityTimeout: "15s")
            settings.database = ["call_deadline = \"2s\""]
            try await eventually("a daemon's claim is lost in a crash") {
                try await database.sql("update pgmq.q_work set vt = now(), read_ct = 0, last_read_at = null")
                let ledger = Ledger()
                defer { ledger.remove() }
                let daemon = try DaemonProcess(
                    settings.text,
                    program: "LedgerDaemon",
                    environment: ledger.environment
                )
                try await eventually("the handler runs") { ledger.starts.count == 1 }
                daemon.signal(SIGSTOP)
                await server.postgres.stop(.kill)
                try await server.postgres.start()
                guard try await database.int("select sum(read_ct) from pgmq.q_work") == 0 else { return false }
                #expect(try await database.int("select count(*) from pgmq.read('work', 600, 1)") == 1)
                daemon.signal(SIGCONT)
                try await expectLoss(daemon, ledger, database)
                return true
            }
        }
    }

    @Test(.enabled(if: TestPostgres.hasUnloggedSequences, Self.logged))
    func `a daemon's lease on an unlogged queue whose ids began again is lost`() async throws {
        let server = try await TestServer()
        try await removing(server) {
            let database = try await server.database()
            try await database.createQueue("work", how: "create_unlogged")
            let ledger = Ledger()
            defer { ledger.remove() }
            let settings = Settings(database, queue: "work", workers: 1, visibilityTimeout: "15s")
            let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
            let ids = try await database.send("work", [#"{"gated": 1}"#])
            try await eventually("the handler runs") { ledger.starts.count == 1 }
            daemon.signal(SIGSTOP)
            await server.postgres.stop(.kill)
            try await server.postgres.start()
            #expect(try await database.send("work", ["{}"]) == ids)
            #expect(try await database.int("select count(*) from pgmq.read('work', 600, 1)") == 1)
            daemon.signal(SIGCONT)
            try await expectLoss(daemon, ledger, database)
        }
    }

    /// It counts and tells the loss, cancels the handler, and leaves the row, which is another's now, as it is.
    private func expectLoss(_ daemon: DaemonProcess, _ ledger: Ledger, _ database: TestDatabase) async throws {
        let row = try await database.text("select q::text from pgmq.q_work q")
        try await daemon.logged("lease lost")
        try await eventually("the handler is cancelled") { ledger.ends.map(\.verdict) == ["cancelled"] }
        daemon.signal(SIGUSR1)
        try await daemon.logged("\"lost\":\"1\"")
        #expect(try await daemon.stop() == 0)
        #expect(try await database.text("select q::text from pgmq.q_work q") == row)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        #expect(try await database.count("work_dlq") == 0)
        #expect(ledger.starts.count == 1)
    }

    @Test(.enabled(if: TestPostgres.hasUnloggedSequences, Self.logged))
    func `a lease on an unlogged queue whose ids began again settles and renews nothing`() async throws {
        let server = try await TestServer()
        try await removing(server) {
            let database = try await server.database()
            try await database.createQueue("work", how: "create_unlogged")
            try await database.send("work", ["{}", "{}"])
            let stale = Port(database, queue: "work")
            let leases = try await stale.claim()
            await server.postgres.stop(.kill)
            try await server.postgres.start()
            #expect(try await database.count("work") == 0)
            let ids = try await database.send("work", ["{}", "{}"])
            #expect(ids == leases.map(\.fence.messageID))
            // Nobody has the new ones, then somebody.
            try await expectNothing(of: stale, leases, database)
            let owner = Port(database, queue: "work")
            let owned = try await owner.claim()
            #expect(owned.map(\.fence.readCount) == leases.map(\.fence.readCount))
            #expect(owned.map(\.place) == leases.map(\.place))
            try await expectNothing(of: stale, leases, database)
            #expect(try await owner.settle(owned, .done, atPlace: true) == Set(ids))
        }
    }

    /// No outcome of these leases, and no renewal, changes any row.
    private func expectNothing(of port: Port, _ leases: [Lease], _ database: TestDatabase) async throws {
        let rows = "select string_agg(q::text, ' ' order by msg_id) from pgmq.q_work q"
        let before = try await database.text(rows)
        let outcomes: [Outcome] = [
            .done, .deadLetter(reason: "stale"), .retry(after: .zero, reason: "stale"), .snooze(.seconds(5)),
            .released(after: .zero), .condemned(reason: "stale", after: .seconds(5)),
        ]
        for outcome in outcomes { #expect(try await port.settle(leases, outcome).isEmpty, "\(outcome)") }
        #expect(leases.allSatisfy { $0.place != nil })
        #expect(try await port.settle(leases, .done, atPlace: true).isEmpty)
        #expect(try await port.renew(leases).allSatisfy { $0 == .lost })
        #expect(try await database.text(rows) == before)
        #expect(try await database.count("work_dlq") == 0)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
    }
}

/// Removes the server afterwards, whatever happens.
func removing(_ server: TestServer, _ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch {
        await server.remove()
        throw error
    }
    await server.remove()
}
