import Foundation
import TestSupport
import Testing

private let isPossible = Machine.obstacle == nil
private let reason = Comment(rawValue: Machine.obstacle ?? "")

/// The shipped unit under a real systemd.
@Suite(.serialized, .enabled(if: isPossible, reason)) struct ServiceTests {
    @Test func `it is active only after READY, and has a status line`() async throws {
        try await withService(gated: true) { service in
            try await service.machine.systemctl("start", "--no-block", "pgmqd")
            try await eventually("it starts") { try await service.property("ActiveState") == "activating" }
            #expect(try await service.property("StatusText") == "")
            try service.openGate()
            try await eventually("it is active") { try await service.property("ActiveState") == "active" }
            let status = try await service.machine.systemctl("status", "pgmqd").text
            #expect(status.contains("Status: \"Processing 0/2 in 1 queue; done 0"))
            try await service.database.send("work", [#"{"sleep": 60}"#])
            try await eventually("the status line tells of the handler") {
                try await service.property("StatusText").hasPrefix("Processing 1/2 in 1 queue")
            }
        }
    }

    @Test func `the watchdog restarts it when its loop is blocked`() async throws {
        let threads = ProcessInfo.processInfo.activeProcessorCount
        try await withService(workers: threads, watchdog: "6s") { service in
            try await service.start()
            try await service.database.send("work", Array(repeating: #"{"block": 600}"#, count: threads))
            try await eventually("every thread is busy") { service.entries("start").count >= threads }
            try await service.database.sql("delete from pgmq.q_work")
            try await eventually("it was restarted") { try await service.property("NRestarts") != "0" }
            try await eventually("it is active again") { try await service.property("ActiveState") == "active" }
            try await service.told("Failed with result 'watchdog'")
            try await service.database.send("work", ["{}"])
            try await eventually("it works again") { try await service.database.count("work") == 0 }
            #expect(service.entries("end").count == 1)
        }
    }

    /// By a handler whose cancellation does not return: it is the loop that renews the leases which cancels it.
    @Test func `the watchdog restarts it when the loop of one queue is blocked and the others work`() async throws {
        try await withService(queues: ["work", "other"], watchdog: "6s") { service in
            try await service.start()
            try await service.database.send("work", [#"{"blockCancelling": 600}"#])
            try await eventually("the handler runs") { service.entries("start").count == 1 }
            try await service.database.sql("delete from pgmq.q_work")
            try await eventually("the loop is blocked") { service.entries("block").count == 1 }
            try await service.database.send("other", ["{}"])
            try await eventually("the other queue works") { service.entries("end other").count == 1 }
            try await eventually("it was restarted") { try await service.property("NRestarts") != "0" }
            for text in ["Failed with result 'watchdog'", "loop stalled", "work renewal"] {
                try await service.told(text)
            }
        }
    }

    @Test func `a handler of more than twice WatchdogSec does not trip the watchdog`() async throws {
        try await withService(watchdog: "10s") { service in
            try await service.start()
            try await service.database.send("work", [#"{"sleep": 21}"#])
            try await eventually("the handler has ended") { service.entries("end").count == 1 }
            try await eventually("it is settled") { try await service.database.count("work") == 0 }
            #expect(try await service.property("NRestarts") == "0")
            #expect(service.entries("start").count == 1)
        }
    }

    @Test func `systemctl stop lets a running handler end`() async throws {
        try await withService { service in
            try await service.start()
            try await service.database.send("work", [#"{"sleep": 3}"#])
            try await eventually("the handler runs") { service.entries("start").count == 1 }
            #expect(try await service.machine.systemctl("stop", "pgmqd").status == 0)
            #expect(service.entries("end").map { $0.hasSuffix("done") } == [true])
            #expect(try await service.database.count("work") == 0)
            #expect(try await service.property("ActiveState") == "inactive")
            #expect(try await service.property("Result") == "success")
            #expect(try await service.property("ExecMainStatus") == "0")
        }
    }

    @Test func `it comes back after kill -9`() async throws {
        try await withService { service in
            try await service.start()
            let pid = try await service.property("MainPID")
            try await service.machine.systemctl("kill", "--signal=SIGKILL", "--kill-whom=main", "pgmqd")
            // The counter first: right after the kill the unit may still be called active, and has no main process.
            try await eventually("it was restarted") { try await service.property("NRestarts") != "0" }
            try await eventually("it is active again") { try await service.property("ActiveState") == "active" }
            #expect(try await service.property("MainPID") != pid)
        }
    }

    /// More often, and faster, than systemd's own limit and any burst that a unit is usually given would let it.
    @Test func `it is not given up however often it crashes`() async throws {
        try await withService(restart: "100ms") { service in
            try await service.start()
            for crash in 1...12 {
                try await service.machine.systemctl("kill", "--signal=SIGKILL", "--kill-whom=main", "pgmqd")
                try await eventually("it was restarted") { try await service.property("NRestarts") == "\(crash)" }
                try await eventually("it is active again") { try await service.property("ActiveState") == "active" }
            }
            try await service.database.send("work", ["{}"])
            try await eventually("it works again") { try await service.database.count("work") == 0 }
            // The traces of the dead are gone; that of the living is where systemd told it to be.
            let folder = service.machine.path("/var/lib/pgmqd")
            let traces = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("trace-") }
            #expect(traces.count == 1)
        }
    }

    @Test func `a configuration that is wrong fails it once, with 78`() async throws {
        try await withService(isConfigured: false) { service in
            #expect(try await service.machine.systemctl("start", "pgmqd").status != 0)
            #expect(try await service.property("ActiveState") == "failed")
            #expect(try await service.property("ExecMainStatus") == "78")
            #expect(try await service.property("NRestarts") == "0")
            try await service.told("/etc/pgmqd/pgmqd.toml:5")
        }
    }

    @Test func `its journal has priorities and fields`() async throws {
        try await withService { service in
            try await service.start()
            try await eventually("the journal tells that it is ready") {
                try await service.journal().contains { $0["MESSAGE"]?.hasPrefix("ready") == true }
            }
            let entries = try await service.journal()
            let ready = try #require(entries.first { $0["MESSAGE"]?.hasPrefix("ready") == true })
            #expect(ready["PRIORITY"] == "5")
            #expect(ready["SYSLOG_IDENTIFIER"] == "pgmqd")
            #expect(ready["PGMQD_STATUS"]?.hasPrefix("Processing 0/2") == true)
            let starting = try #require(entries.first { $0["MESSAGE"]?.hasPrefix("starting") == true })
            #expect(starting["PGMQD_QUEUES"] == "work")
            #expect(starting["PGMQD_WORKERS"] == "2")
        }
    }

    @Test func `a command works inside the sandbox`() async throws {
        let handler = #"{ command = ["/bin/sh", "-c", "cat > /var/lib/pgmqd/received"] }"#
        try await withService(program: "pgmqd", handler: handler) { service in
            try await service.start()
            try await service.database.send("work", [#"{"to": "you"}"#])
            try await eventually("it is done") { try await service.database.count("work") == 0 }
            let received = service.machine.path("/var/lib/pgmqd/received")
            #expect(try String(contentsOfFile: received, encoding: .utf8) == #"{"to": "you"}"#)
        }
    }
}
