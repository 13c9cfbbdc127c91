import Foundation
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// First deliveries that end the process, which the journal has no row for: their traces in the state directory.
@Suite(.serialized) struct CrashTraceTests {
    private let poison = #"{"abort": true}"#

    private func traces(in folder: TestFolder) -> [String] {
        folder.names.filter { $0.hasPrefix("trace-") }
    }

    /// A daemon that a message's first delivery has ended.
    /// - Returns: the name of the file that it left.
    private func crash(_ settings: Settings, _ ledger: Ledger, _ folder: TestFolder) async throws -> String {
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        #expect(try await daemon.exit() == -SIGABRT)
        let left = traces(in: folder)
        #expect(left.count == 1)
        return try #require(left.first)
    }

    @Test func `a message that aborts at its first delivery is remembered`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        let id = try await database.send("work", [poison])[0]
        let settings = Settings.patient(database, queue: "work").keepingState(in: folder)
        let left = try await crash(settings, ledger, folder)
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)

        let daemon = try await Workers.start(settings, ledger)
        try await eventually("the trace has become a row") {
            try await database.int("select count(*) from pgmqd.journal") == 1
        }
        let row = try await database.sql(
            """
            select j.queue, j.msg_id::text, j.read_ct::text, j.daemon, j.version, j.outcome,
                (j.enqueued_at = q.enqueued_at)::text
            from pgmqd.journal j join pgmq.q_work q using (msg_id)
            """
        )
        #expect(
            (0..<7).map { row.text(0, $0) } == [
                "work", "\(id)", "1", String(left.dropFirst(6)), Daemon.version, nil, "true",
            ]
        )
        try await eventually("the dead daemon's file is gone") { !folder.names.contains(left) }
        // That of the living daemon is there until it stops.
        #expect(traces(in: folder).count == 1)
        #expect(try await daemon.stop() == 0)
        #expect(folder.names == [])
    }

    /// Each run of such a message ends a daemon and leaves an open row: the first by its trace, the second when it is
    /// claimed, the third, alone, when it begins. The fourth delivery is dead-lettered unrun. So twelve messages end at
    /// most 12 × 3 daemons, and fewer, because several of them run at a time.
    @Test func `twelve messages that abort end at most thirty-six daemons, and all others are done`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        let bodies = (0..<190).map { $0 % 16 == 5 ? poison : #"{"sleep": 0.02}"# }
        let ids = try await database.send("work", bodies)
        let poisons = Set(zip(ids, bodies).filter { $1 == poison }.map(\.0))
        #expect(poisons.count == 12)
        let settings = Settings(database, queue: "work").keepingState(in: folder)
        let ends = try await Workers.supervise(settings, ledger) { try await database.count("work") == 0 }

        #expect(ends.last == 0)
        #expect(ends.dropLast().allSatisfy { $0 == -SIGABRT })
        #expect(ends.dropLast().count <= 36)
        let runs = ledger.runs
        #expect(poisons.allSatisfy { (1...3).contains(runs[$0] ?? 0) })
        let letters = try await database.sql(
            "select headers->'x-pgmqd'->>'msg_id', headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq"
        )
        #expect(Set((0..<letters.count).map { letters.text($0, 0) }) == Set(poisons.map { "\($0)" }))
        #expect((0..<letters.count).allSatisfy { letters.text($0, 1)?.hasPrefix("crashed") == true })
        #expect(Set(ledger.ends.filter { $0.verdict == "done" }.map(\.id)) == Set(ids).subtracting(poisons))
        #expect(folder.names == [])
    }

    @Test func `a trace of a message that is gone leaves no row`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        try await database.send("work", [poison])
        let settings = Settings.patient(database, queue: "work").keepingState(in: folder)
        let left = try await crash(settings, ledger, folder)
        try await database.sql("delete from pgmq.q_work")

        let daemon = try await Workers.start(settings, ledger)
        try await eventually("the dead daemon's file is gone") { !folder.names.contains(left) }
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
        #expect(try await daemon.stop() == 0)
    }

    @Test func `a trace of a message that was claimed again leaves no row`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        try await database.send("work", [poison])
        let settings = Settings.patient(database, queue: "work").keepingState(in: folder)
        let left = try await crash(settings, ledger, folder)
        try await database.sql("update pgmq.q_work set read_ct = 2")

        let daemon = try await Workers.start(settings, ledger)
        try await eventually("the dead daemon's file is gone") { !folder.names.contains(left) }
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
        #expect(try await daemon.stop() == 0)
    }

    @Test func `a trace is kept while the database is away, and where nobody works its queue`() async throws {
        let database = try await TestServer.common().database()
        for queue in ["work", "other"] { try await database.createQueue(queue) }
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        try await database.send("work", [poison])
        let settings = Settings.patient(database, queue: "work").keepingState(in: folder)
        let left = try await crash(settings, ledger, folder)

        var away = settings
        away.url = "postgresql://127.0.0.1:\(FreePort.find())/nowhere"
        let waiting = try await Workers.start(away, ledger)
        try await waiting.logged("crash traces found")
        #expect(try await waiting.stop() == 0)
        #expect(folder.names == [left])

        let without = Settings.patient(database, queue: "other").keepingState(in: folder)
        let daemon = try await Workers.start(without, ledger)
        try await daemon.logged("does not work their queue")
        #expect(try await daemon.stop() == 0)
        #expect(folder.names == [left], "it may be another daemon's")
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `files that are cut off or garbage harm nothing`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let (ledger, folder) = (Ledger(), try TestFolder())
        defer { ledger.remove() }
        let id = try await database.send("work", [poison])[0]
        let settings = Settings.patient(database, queue: "work").keepingState(in: folder)
        let left = try await crash(settings, ledger, folder)
        #expect(truncate(folder.path + "/" + left, 600) == 0)
        try folder.write("trace-garbage", String(repeating: "garbage ", count: 200))
        try folder.write("trace-empty", "")
        try await database.sql("delete from pgmq.q_work where msg_id = \(id)")
        try await database.send("work", ["{}"])

        let daemon = try await Workers.start(settings, ledger)
        try await database.emptied("work")
        try await daemon.logged("crash trace not read", times: 3)
        #expect(Set(folder.names).isDisjoint(with: [left, "trace-empty"]))
        #expect(try await daemon.stop() == 0)
        #expect(folder.names == ["trace-garbage"], "it is not ours")
    }

    @Test func `without a state directory it is said once, and only where a handler runs inside the process`()
        async throws
    {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let inside = try await Workers.start(Settings.patient(database, queue: "work"), ledger)
        try await inside.logged("no state directory")
        #expect(try await inside.stop() == 0)
        #expect(inside.log.components(separatedBy: "no state directory").count == 2)
        let outside = Settings.patient(database, queue: "work", handler: "{ discard = true }")
        let daemon = try await Workers.start(outside, ledger)
        #expect(try await daemon.stop() == 0)
        #expect(!daemon.log.contains("no state directory"))
    }
}
