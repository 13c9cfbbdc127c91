import Engine
import Foundation
import Logging
import PGMQ
import PGMQWorker
import TestSupport
import Testing

/// The file by which a daemon's first deliveries outlive it.
@Suite struct CrashTraceTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func identity(_ id: String = "life-1") -> DaemonIdentity {
        DaemonIdentity(daemon: id, host: "box", version: "1.2.3")
    }

    private func message(_ id: Int64, queue: String = "emails") -> Message {
        Message(
            queue: queue,
            id: id,
            readCount: 1,
            enqueuedAt: Timestamp(microseconds: 1_700_000_000_123_456 + id),
            body: nil,
            headers: nil,
            attempt: 1
        )
    }

    private func delivery(_ id: Int64, of daemon: String = "life-1") -> CrashedDelivery {
        CrashedDelivery(
            messageID: id,
            enqueuedAt: Timestamp(microseconds: 1_700_000_000_123_456 + id),
            readCount: 1,
            daemon: identity(daemon)
        )
    }

    /// A daemon that runs these messages and dies: with the last reference the lock goes, as with a process.
    private func die(in folder: TestFolder, running messages: [Message], slots: Int = 4) throws {
        let trace = CrashTrace(slots: slots)
        try trace.open(in: folder.path, as: identity())
        for message in messages { _ = trace.begin(message) }
    }

    private func find(in folder: TestFolder) -> [DeadDaemon] {
        DeadDaemon.find(in: folder.path, logger: logger)
    }

    @Test func `a dead daemon's running deliveries are found, and those that ended are not`() throws {
        let folder = try TestFolder()
        do {
            let trace = CrashTrace(slots: 4)
            try trace.open(in: folder.path, as: identity())
            let ended = try #require(trace.begin(message(1)))
            _ = trace.begin(message(2))
            _ = trace.begin(message(3, queue: "reports"))
            trace.end(ended)
            _ = trace.begin(message(4))
        }
        let found = find(in: folder)
        #expect(found.count == 1)
        let running = try #require(found.first).contents.running
        #expect(Set(running.keys) == ["emails", "reports"])
        #expect(running["emails"]?.sorted { $0.messageID < $1.messageID } == [delivery(2), delivery(4)])
        #expect(running["reports"] == [delivery(3)])
    }

    @Test func `the file goes when every queue has its rows, and not before`() throws {
        let folder = try TestFolder()
        try die(in: folder, running: [message(1), message(2, queue: "reports")])
        let dead = try #require(find(in: folder).first)
        dead.settle("emails")
        dead.settle("emails")
        dead.settle("unknown")
        #expect(folder.names == ["trace-life-1"])
        dead.settle("reports")
        #expect(folder.names == [])
    }

    @Test func `a file is taken by one finder, and by the next when that one is gone`() throws {
        let folder = try TestFolder()
        try die(in: folder, running: [message(1)])
        var first = find(in: folder)
        #expect(first.count == 1)
        #expect(find(in: folder).isEmpty)
        first = []
        #expect(find(in: folder).count == 1)
    }

    @Test func `a living daemon's file is left alone`() throws {
        let folder = try TestFolder()
        let trace = CrashTrace(slots: 1)
        try trace.open(in: folder.path, as: identity())
        _ = trace.begin(message(1))
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == ["trace-life-1"])
        let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/trace-life-1")[.posixPermissions]
        #expect(mode as? Int == 0o600)
        trace.remove()
        #expect(folder.names == [])
        withExtendedLifetime(trace) {}
    }

    @Test func `a daemon that died idle leaves nothing to do`() throws {
        let folder = try TestFolder()
        try die(in: folder, running: [])
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == [])
    }

    @Test func `without a free slot, or a file, a run leaves no trace`() throws {
        let folder = try TestFolder()
        let trace = CrashTrace(slots: 1)
        #expect(trace.begin(message(1)) == nil)
        try trace.open(in: folder.path, as: identity())
        let slot = try #require(trace.begin(message(1)))
        #expect(trace.begin(message(2)) == nil)
        trace.end(slot)
        #expect(trace.begin(message(3)) != nil)
    }

    @Test func `names of every length that a queue can have`() throws {
        let folder = try TestFolder()
        let names = ["a", String(repeating: "ü", count: 23), String(repeating: "q", count: 47)]
        let tooLong = String(repeating: "q", count: 48)
        try die(in: folder, running: (names + [tooLong]).map { message(1, queue: $0) })
        let dead = try #require(find(in: folder).first)
        #expect(Set(dead.contents.running.keys) == Set(names))
        #expect(dead.contents.damagedSlots == 0)
    }

    /// Where the file is changed, and to what; a count of bytes to cut it to.
    enum Damage: Sendable {
        case bytes(at: Int, [UInt8])
        case cut(to: Int)
        case grown
    }

    @Test(arguments: [
        Damage.cut(to: 5), .bytes(at: 0, [0]), .bytes(at: 8, [2]),
    ])
    func `a file that no daemon of this version wrote is left alone`(_ damage: Damage) throws {
        let folder = try TestFolder()
        try die(in: folder, running: [message(1)])
        try inflict(damage, on: folder)
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == ["trace-life-1"])
    }

    @Test func `who is killed after it was told to stop left no crash`() throws {
        let folder = try TestFolder()
        let trace = CrashTrace(slots: 1)
        try trace.open(in: folder.path, as: identity())
        _ = trace.begin(message(1))
        trace.noteStop()
        let bytes = try #require(folder.data("trace-life-1"))
        trace.remove()
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path + "/trace-life-1"))
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == [])
        withExtendedLifetime(trace) {}
    }

    @Test(arguments: [
        Damage.cut(to: 0), .cut(to: 100), .cut(to: TraceLayout.headerSize), .cut(to: TraceLayout.size(slots: 4) - 1),
        .grown, .bytes(at: 12, [255, 255, 255, 255]), .bytes(at: 12, [5]),
        .bytes(at: 16, [0]), .bytes(at: 16, [48]), .bytes(at: 17, [0]), .bytes(at: 65, [0xff]),
    ])
    func `a damaged file is removed`(_ damage: Damage) throws {
        let folder = try TestFolder()
        try die(in: folder, running: [message(1)])
        try inflict(damage, on: folder)
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == [])
    }

    /// The slot that is taken first is the first in the file.
    @Test(arguments: [
        Damage.bytes(at: 0, [7]), .bytes(at: 4, [0, 0, 0, 0]), .bytes(at: 4, [0xff, 0xff, 0xff, 0xff]),
        .bytes(at: 16, Array(repeating: 0xff, count: 7) + [0x7f]), .bytes(at: 24, [0]), .bytes(at: 24, [48]),
        .bytes(at: 25, [0]), .bytes(at: 25, [0xff]),
    ])
    func `a damaged slot is passed over, and the others count`(_ damage: Damage) throws {
        let folder = try TestFolder()
        try die(in: folder, running: [message(1), message(2)])
        try inflict(damage, on: folder, from: TraceLayout.headerSize)
        let dead = try #require(find(in: folder).first)
        #expect(dead.contents.damagedSlots == 1)
        #expect(dead.contents.running == ["emails": [delivery(2)]])
    }

    private func inflict(_ damage: Damage, on folder: TestFolder, from start: Int = 0) throws {
        let path = folder.path + "/trace-life-1"
        var bytes = [UInt8](try #require(folder.data("trace-life-1")))
        switch damage {
        case .bytes(let offset, let new):
            bytes.replaceSubrange((start + offset)..<(start + offset + new.count), with: new)
        case .cut(let count): bytes.removeLast(bytes.count - count)
        case .grown: bytes.append(0)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func `what is no file is told and left, and other names are nobody's business`() throws {
        let folder = try TestFolder()
        try folder.write("other", "x")
        try folder.write("target", "x")
        try FileManager.default.createDirectory(
            atPath: folder.path + "/trace-folder",
            withIntermediateDirectories: true
        )
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/trace-link",
            withDestinationPath: folder.path + "/target"
        )
        #expect(find(in: folder).isEmpty)
        #expect(folder.names == ["other", "target", "trace-folder", "trace-link"])
    }

    @Test func `a folder that is not there is an error to work on without`() throws {
        let folder = try TestFolder()
        let trace = CrashTrace(slots: 1)
        #expect(throws: TraceFailure.self) { try trace.open(in: folder.path + "/none", as: identity()) }
        #expect(trace.begin(message(1)) == nil)
        #expect(DeadDaemon.find(in: folder.path + "/none", logger: logger).isEmpty)
    }
}
