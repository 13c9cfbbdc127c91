import Foundation
import Glibc
import TestSupport
import Testing

/// SIGTERM, once and twice.
@Suite(.serialized) struct ShutdownTests {
    @Test func `under load nothing new begins, what waited is others' at once, and what runs ends`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        // A lease so long that nothing comes back by its end.
        let settings = Settings(database, queue: "work", workers: 2, visibilityTimeout: "10m", callDeadline: "15s")
        let daemon = try await Workers.start(settings, ledger)
        // Quick ones first: they make the daemon claim ahead.
        let bodies = Array(repeating: "{}", count: 5000) + Array(repeating: #"{"gated": 1}"#, count: 100)
        let ids = try await database.send("work", bodies)
        let (quick, slow) = (ids.prefix(5000), ids.suffix(100))
        try await eventually("two slow ones run, and others are held that have not begun") {
            let running = ledger.starts.filter { slow.contains($0.id) }.count == 2
            let held = try await database.int("select count(*) from pgmq.q_work where vt > clock_timestamp()")
            return running && held > 2
        }
        daemon.signal(SIGTERM)
        try await daemon.logged("\"message\":\"stopping\"")
        let stopped = Ledger.now
        try await eventually("only those that run are held") {
            try await database.int("select count(*) from pgmq.q_work where vt > clock_timestamp()") == 2
        }
        // The doorbell, too, claims nothing more: none of these, nor of those handed back.
        let late = try await database.send("work", ["{}", "{}"])
        ledger.openGate()
        #expect(try await daemon.exit() == 0)
        let begun = Set(ledger.starts.filter { slow.contains($0.id) }.map(\.id))
        #expect(begun.count == 2)
        #expect(ledger.starts.allSatisfy { $0.time < stopped })
        #expect(Set(ledger.ends.filter { slow.contains($0.id) && $0.verdict == "done" }.map(\.id)) == begun)
        let done = Set(ledger.ends.filter { $0.verdict == "done" }.map(\.id))
        #expect(try await database.count("work") == quick.count + slow.count + late.count - done.count)
        let later = "select sum(read_ct) from pgmq.q_work where msg_id >= \(late[0])"
        #expect(try await database.int(later) == 0)
        // Each that is left was claimed before the signal, or never.
        #expect(try await database.int("select max(read_ct) from pgmq.q_work") == 1)

        // Others take them from there, with no attempt spent.
        let other = try await Workers.start(Settings.patient(database, queue: "work", workers: 100), ledger)
        try await database.emptied("work")
        #expect(try await other.stop() == 0)
        #expect(ledger.runs.count == quick.count + slow.count + late.count)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 })
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `a second one ends it at once, and what ran is handed back`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", visibilityTimeout: "10m", callDeadline: "15s")
        settings.daemon.append("shutdown_grace = \"1h\"")
        let daemon = try await Workers.start(settings, ledger)
        try await database.send("work", Array(repeating: #"{"gated": 1}"#, count: 3))
        try await eventually("they run") { ledger.starts.count == 3 }
        daemon.signal(SIGTERM)
        try await daemon.logged("\"message\":\"stopping\"")
        #expect(daemon.isRunning)
        #expect(ledger.ends.isEmpty)
        daemon.signal(SIGTERM)
        #expect(try await daemon.exit() == 0)
        #expect(ledger.ends.map(\.verdict) == ["cancelled", "cancelled", "cancelled"])
        #expect(try await database.int("select count(*) from pgmq.q_work where vt <= clock_timestamp()") == 3)
        try await expectUnspent(database, ledger)
    }

    @Test func `a handler beyond the grace is handed back and has spent no attempt`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "10m",
            callDeadline: "15s",
            extra: ["max_attempts = 1"]
        )
        settings.daemon.append("shutdown_grace = \"1s\"")
        let daemon = try await Workers.start(settings, ledger)
        let id = try await database.send("work", [#"{"sleep": 600}"#])[0]
        try await eventually("it runs") { ledger.starts.count == 1 }
        #expect(try await daemon.stop() == 0)
        #expect(daemon.log.contains("shutdown grace over"))
        #expect(daemon.log.contains("\"msg_ids\":\"\(id)\""))
        #expect(ledger.ends.map(\.verdict) == ["cancelled"])
        #expect(try await database.int("select count(*) from pgmq.q_work where vt <= clock_timestamp()") == 1)
        #expect(try await database.count("work_dlq") == 0)
        try await expectUnspent(database, ledger)
    }

    @Test func `a handler that heeds no cancellation holds nobody up beyond the grace`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", visibilityTimeout: "10m", callDeadline: "15s")
        settings.daemon.append("shutdown_grace = \"1s\"")
        let daemon = try await Workers.start(settings, ledger)
        try await database.send("work", [#"{"sleep": 600, "stubborn": true}"#])
        try await eventually("it runs") { ledger.starts.count == 1 }
        daemon.signal(SIGTERM)
        #expect(try await daemon.exit() == 0)
        #expect(daemon.log.contains("stopped with work left"))
        #expect(try await database.count("work") == 1)
    }

    @Test func `a command beyond the grace is ended and handed back`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let script = #"trap "echo bye > $1/end; exit 0" TERM; echo > "$1/$PGMQD_ATTEMPT"; sleep 600 & wait"#
        var settings = Settings(
            database,
            queue: "work",
            handler: TestFolder.shell(script, folder.path),
            visibilityTimeout: "10m",
            callDeadline: "15s"
        )
        settings.daemon.append("shutdown_grace = \"1s\"")
        let daemon = try DaemonProcess(settings.text)
        try await database.send("work", ["{}"])
        try await eventually("it runs") { folder.names.contains("1") }
        #expect(try await daemon.stop() == 0)
        #expect(folder.names == ["1", "end"])
        // It was told to end, and status 0 after that proves no work.
        #expect(try await database.int("select count(*) from pgmq.q_work where vt <= clock_timestamp()") == 1)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
    }

    private func expectUnspent(_ database: TestDatabase, _ ledger: Ledger) async throws {
        let before = ledger.starts.count
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        let next = try await Workers.start(Settings.patient(database, queue: "work"), ledger)
        try await eventually("they run again") { ledger.starts.count >= 2 * before }
        #expect(ledger.starts.allSatisfy { $0.attempt == 1 })
        next.signal(SIGTERM)
        try await next.logged("\"message\":\"stopping\"")
        #expect(try await next.stop() == 0)
    }
}
