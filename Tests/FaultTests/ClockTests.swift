import Foundation
import PGMQWorker
import TestSupport
import Testing

/// The server's clock is set back under a daemon at work.
@Suite(.serialized) struct ClockTests {
    @Test func `a server clock that steps back an hour hides no message`() async throws {
        let folder = try TestFolder()
        let offset = try folder.write("offset", "+0\n", mode: 0o644)
        let server = try await TestServer(environment: [
            "LD_PRELOAD": try Self.library(), "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1",
            // The server's own timers go on.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        ])
        do {
            try await stepBack(server) { try $0.write(toFile: offset, atomically: false, encoding: .utf8) }
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    private func stepBack(_ server: TestServer, _ set: (String) throws -> Void) async throws {
        let database = try await server.database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let settings = Settings(database, queue: "work", extra: [#"poll_interval = "1h""#])
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        let before = try await database.send("work", Array(repeating: #"{"sleep":0.02}"#, count: 1000))
        try await eventually("it is at work") { ledger.ends.count > 100 }
        let clock = "select extract(epoch from clock_timestamp())::bigint"
        let then = try await database.int(clock)
        try set("-1h\n")
        try await eventually("the clock has stepped back") { try await database.int(clock) < then - 3000 }
        // All of these lie an hour below what has been claimed up to.
        let after = try await database.send("work", Array(repeating: "{}", count: 100))
        try await eventually("those sent afterwards are done") {
            let done = Set(ledger.ends("done").map(\.id))
            return after.allSatisfy(done.contains)
        }
        // Of those sent before, the visible ones are due an hour from now, by the server's clock.
        try set("+0\n")
        // It may be asleep by now, and its timer set by the other clock.
        let last = try await database.send("work", ["{}"])
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(Set(ledger.ends("done").map(\.id)) == Set(before + after + last))
        #expect(try await database.count("work_dlq") == 0)
    }

    private static func library() throws -> String {
        let places = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib").map { "/usr/lib/\($0)" }
        let found = places.map { $0 + "/faketime/libfaketime.so.1" }.first {
            FileManager.default.fileExists(atPath: $0)
        }
        return try #require(found, "deploy/setup --test installs libfaketime")
    }
}
