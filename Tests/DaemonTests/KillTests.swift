import Foundation
import Glibc
import TestSupport
import Testing

/// A daemon that is gone from one moment to the next.
@Suite(.serialized) struct KillTests {
    @Test func `what a killed daemon held comes back within the visibility timeout`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemons = try await Workers.start(
            3,
            Settings(database, queue: "work", workers: 4, visibilityTimeout: "10s", callDeadline: "3s"),
            ledger
        )
        let ids = try await database.send("work", Array(repeating: #"{"gated": 1}"#, count: 24))
        let victim = daemons[0]
        try await eventually("all workers of the victim run") {
            ledger.starts.filter { $0.pid == victim.pid }.count == 4
        }
        let killed = Ledger.now
        victim.signal(SIGKILL)
        #expect(try await victim.exit() == -SIGKILL)
        // Nobody is left to renew what it held.
        let latest = "clock_timestamp() + interval '10 seconds'"
        #expect(try await database.int("select count(*) from pgmq.q_work where vt > \(latest)") == 0)
        ledger.openGate()
        try await database.emptied("work")
        #expect(try await Workers.stop([daemons[1], daemons[2]]) == [0, 0])

        let history = ledger.history()
        let interrupted = history.filter { $0.end == nil }
        #expect(interrupted.count == 4)
        #expect(interrupted.allSatisfy { $0.pid == victim.pid })
        #expect(Set(history.filter { $0.verdict == "done" }.map(\.id)) == Set(ids))
        #expect(history.filter { $0.verdict == "done" }.count == ids.count)
        for run in interrupted {
            let again = try #require(history.first { $0.id == run.id && $0.start > run.start })
            #expect(again.pid != victim.pid)
            #expect(again.attempt == 1)
        }
        #expect(ledger.overlaps(killed: [victim.pid: killed]).isEmpty)
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `daemons killed under load lose nothing and repeat only what the dead had begun`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let settings = Settings(database, queue: "work", visibilityTimeout: "10s", callDeadline: "3s")
        var daemons = try await Workers.start(3, settings, ledger)
        var ids: [Int64] = []
        var dead: [Int32: UInt64] = [:]
        for _ in 0..<3 {
            let fresh = try await database.send("work", Array(repeating: #"{"sleep": 0.01}"#, count: 2000))
            ids += fresh
            var victim: Int?
            try await eventually("one of them is well at work") {
                // However late the look, there is work to be caught at.
                if try await database.count("work") < 1000 {
                    ids += try await database.send("work", Array(repeating: #"{"sleep": 0.01}"#, count: 1000))
                }
                let runs = ledger.history().filter { $0.id >= fresh[0] }
                victim = daemons.firstIndex { daemon in
                    let own = runs.filter { $0.pid == daemon.pid }
                    return own.count > 100 && own.contains { $0.end == nil }
                }
                return victim != nil
            }
            let daemon = daemons.remove(at: try #require(victim))
            dead[daemon.pid] = Ledger.now
            daemon.signal(SIGKILL)
            #expect(try await daemon.exit() == -SIGKILL)
            daemons.append(try await Workers.start(settings, ledger))
        }
        try await database.emptied("work")
        #expect(try await Workers.stop(daemons) == [0, 0, 0])

        #expect(Set(ledger.ends.filter { $0.verdict == "done" }.map(\.id)) == Set(ids))
        let repeated = Dictionary(grouping: ledger.history(), by: \.id).values.filter { $0.count > 1 }
        for runs in repeated {
            // Every run but the last was a victim's.
            #expect(runs.dropLast().allSatisfy { dead[$0.pid] != nil })
        }
        #expect(ledger.overlaps(killed: dead).isEmpty)
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `a command dies with its daemon`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        // Nobody hears what it says and no signal but one ends it: only the kernel can.
        let script = #"trap "" TERM HUP INT PIPE; echo $$ > "$1/pid.new"; mv "$1/pid.new" "$1/pid"; exec sleep 1000"#
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", handler: TestFolder.shell(script, folder.path)).text
        )
        try await database.send("work", ["{}"])
        try await eventually("the command runs") { folder.text("pid") != nil }
        let pid = try #require(folder.text("pid").flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
        #expect(kill(pid, 0) == 0)
        daemon.signal(SIGKILL)
        #expect(try await daemon.exit() == -SIGKILL)
        try await eventually("it is gone") { kill(pid, 0) == -1 }
    }
}
