import Foundation
import Glibc
import TestSupport
import Testing

/// A log that nobody reads, and a log that has too much to say.
@Suite struct StalledLogTests {
    /// Exit status 65 says that no retry will help.
    private static let deadLettering = #"{ command = ["/bin/sh", "-c", "exit 65"] }"#
    /// Runs a program whose standard error, `$0`, is a pipe that is full before the first line.
    private static let stalled = #"mkfifo "$0" && exec 2<>"$0" && head -c 65536 /dev/zero >&2 && exec "$@""#

    @Test func `a log that nobody reads stops neither the work nor the shutdown`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", handler: Self.deadLettering).text,
            prefix: ["/bin/sh", "-c", Self.stalled, folder.path + "/log"]
        )
        try await database.send("work", Array(repeating: "{}", count: 100))
        try await eventually("all messages are dead-lettered") { try await database.count("work_dlq") == 100 }
        #expect(try await daemon.stop() == 0)
        #expect(try await database.count("work") == 0)
    }

    @Test func `a wrong configuration ends although nobody reads why`() async throws {
        let folder = try TestFolder()
        let daemon = try DaemonProcess("wrong", prefix: ["/bin/sh", "-c", Self.stalled, folder.path + "/log"])
        #expect(try await daemon.exit() == 78)
    }

    @Test func `each dead letter is a line of its own or in a count`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let daemon = try DaemonProcess(Settings.patient(database, queue: "work", handler: Self.deadLettering).text)
        try await database.send("work", Array(repeating: "{}", count: 200))
        try await eventually("all messages are dead-lettered") { try await database.count("work_dlq") == 200 }
        #expect(try await daemon.stop() == 0)
        let lines = try daemon.log.split(separator: "\n").map { line in
            try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        let letters = lines.filter { ($0["message"] as? String)?.hasPrefix("dead-lettered") == true }
        let folded = letters.compactMap { $0["folded"] as? Int }
        #expect(!folded.isEmpty)
        #expect(letters.allSatisfy { $0["queue"] as? String == "work" })
        #expect(letters.count - folded.count + folded.reduce(0, +) == 200)
    }
}
