import Foundation
import Glibc
import TestSupport
import Testing

/// A daemon's first milliseconds.
@Suite(.serialized) struct StartTests {
    /// One that never waits for a server: nobody is there.
    private static let nowhere = """
        [database]
        url = "postgresql:///nowhere?host=/nonexistent"
        call_deadline = "100ms"
        [daemon]
        log_format = "json"
        [[queue]]
        name = "work"
        handler = { discard = true }
        """

    /// The signals that this process catches, or blocks.
    private func signals(_ field: String, of pid: Int32) -> UInt64 {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix(field + ":") }
        return line.flatMap { UInt64($0.split(separator: "\t")[1], radix: 16) } ?? 0
    }

    private func catches(_ signal: Int32, _ daemon: DaemonProcess) -> Bool {
        signals("SigCgt", of: daemon.pid) & 1 << (signal - 1) != 0
    }

    /// Without a pause between two looks: the moment is what counts.
    private func startCatching(_ daemon: DaemonProcess) throws {
        let end = ContinuousClock.now + .seconds(60)
        while !catches(SIGTERM, daemon) {
            guard daemon.isRunning, .now < end else { throw NeverHappened(description: "no handler:\n\(daemon.log)") }
        }
    }

    /// Waits until somebody has opened the FIFO for reading.
    /// - Returns: the end to write to.
    private func reader(of file: String) async throws -> Int32 {
        var writing: Int32 = -1
        try await eventually("the configuration is read") {
            writing = open(file, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            return writing >= 0
        }
        return writing
    }

    @Test func `SIGTERM in its first instructions ends it with 0, however early it comes`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let settings = Settings.patient(database, queue: "work", handler: "{ discard = true }").text
        // Ten at once, each a little later than the one before: from the kernel's exec to a running daemon.
        for round in 0..<10 {
            let daemons = try (0..<10).map { _ in try DaemonProcess(settings) }
            for (step, daemon) in daemons.enumerated() {
                try startCatching(daemon)
                // No wait for anything: another moment of the start in every round.
                if round > 0 { usleep(UInt32(round * 2000 + step * 200)) }
                daemon.signal(SIGTERM)
            }
            for daemon in daemons { #expect(try await daemon.exit() == 0, "\(daemon.log.suffix(2000))") }
        }
    }

    @Test(arguments: ["pgmqd", "LedgerDaemon"])
    func `signals that come before the configuration is read take effect afterwards`(program: String) async throws {
        let folder = try TestFolder()
        let file = folder.path + "/pgmqd.toml"
        #expect(mkfifo(file, 0o600) == 0)
        let daemon = try DaemonProcess("", program: program, arguments: ["run", "-c", file])
        let writing = try await reader(of: file)
        for signal in [SIGHUP, SIGUSR1, SIGTSTP, SIGTERM] { daemon.signal(signal) }
        #expect(write(writing, Self.nowhere, Self.nowhere.utf8.count) == Self.nowhere.utf8.count)
        close(writing)
        #expect(try await daemon.exit() == 0)
        for text in ["reload ignored", #""message":"queue""#, "quiet; no queue", "stopping", "stopped"] {
            #expect(daemon.log.contains(text), "\(text) in \(daemon.log)")
        }
    }

    @Test func `SIGTERM does not hide a configuration that is wrong`() async throws {
        let daemon = try DaemonProcess("[database]\n")
        try startCatching(daemon)
        daemon.signal(SIGTERM)
        #expect(try await daemon.exit() == 78)
    }

    @Test func `another command ends by a signal, as any program`() async throws {
        let folder = try TestFolder()
        let file = folder.path + "/pgmqd.toml"
        #expect(mkfifo(file, 0o600) == 0)
        let command = try DaemonProcess("", arguments: ["check", "-c", file])
        let writing = try await reader(of: file)
        defer { close(writing) }
        command.signal(SIGTERM)
        #expect(try await command.exit() == -SIGTERM)
    }

    @Test func `it has its arguments where a preloaded library sets variables before main`() async throws {
        let folder = try TestFolder()
        let source = try folder.write(
            "early.c",
            "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { setenv(\"EARLY\", \"1\", 1); }\n"
        )
        let library = folder.path + "/early.so"
        let compiled = try await ProgramRun(["-shared", "-fPIC", "-o", library, source], program: "/usr/bin/cc")
        try #require(compiled.code == 0, "\(compiled.errors)")
        let run = try await ProgramRun(["run", "-c", "/nonexistent"], environment: ["LD_PRELOAD": library])
        #expect(run.code == 78)
        #expect(run.text.isEmpty)
        #expect(run.errors.contains("/nonexistent"))
    }

    /// As process 1, and as any other.
    @Test(.enabled(if: geteuid() == 0, "needs root"), arguments: [["-m"], ["-m", "-p", "-f"]])
    func `without /proc it has its arguments, and says what is missing`(namespaces: [String]) async throws {
        let folder = try TestFolder()
        func run(_ file: String) async throws -> ProgramRun {
            let script = #"mount -t tmpfs none /proc && exec "$0" run -c "$1""#
            return try await ProgramRun(
                namespaces + ["/bin/sh", "-c", script, DaemonProcess.programs + "/pgmqd", file],
                program: "/usr/bin/unshare"
            )
        }
        let wrong = try await run("/nonexistent")
        #expect(wrong.code == 78)
        #expect(wrong.text.isEmpty)
        let right = try await run(try folder.write("pgmqd.toml", Self.nowhere))
        #expect(right.code == 71)
        #expect(right.errors.hasPrefix("/proc is not mounted"))
    }

    @Test func `a command's process blocks and ignores no signal`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let script = #"grep -E "^Sig(Blk|Ign)" /proc/self/status > "$1.part"; mv "$1.part" "$1""#
        let handler = TestFolder.shell(script, folder.path + "/status")
        let daemon = try DaemonProcess(Settings.patient(database, queue: "work", handler: handler).text)
        try await daemon.ready()
        try await database.send("work", ["{}"])
        try await eventually("the handler has run") { folder.text("status") != nil }
        let none = String(repeating: "0", count: 16)
        #expect(folder.text("status") == "SigBlk:\t\(none)\nSigIgn:\t\(none)\n")
        #expect(try await daemon.stop() == 0)
    }

    @Test func `the server of dev blocks no signal`() async throws {
        let folder = try TestFolder()
        var environment = ["XDG_RUNTIME_DIR": folder.path]
        for name in ["HOME", "XDG_CACHE_HOME"] { environment[name] = ProcessInfo.processInfo.environment[name] }
        #expect(chmod(folder.path, 0o755) == 0)
        let server = try DaemonProcess(
            "",
            arguments: ["dev", "--server-only", "--state", folder.path + "/state"],
            environment: environment
        )
        try await server.logged("Ctrl-C ends it")
        let file = try #require(folder.text("state/data/postmaster.pid"))
        let pid = try #require(file.split(separator: "\n").first.flatMap { Int32($0) })
        #expect(signals("SigBlk", of: pid) & (1 << (SIGTERM - 1) | 1 << (SIGINT - 1)) == 0)
        #expect(try await server.stop() == 0)
    }

    /// Else they would be the first that are free, and a log be written into a connection.
    @Test func `where its standard streams are closed, nothing takes their place`() async throws {
        let folder = try TestFolder()
        let file = folder.path + "/pgmqd.toml"
        #expect(mkfifo(file, 0o600) == 0)
        let daemon = try DaemonProcess(
            "",
            program: "/bin/sh",
            arguments: ["-c", #"exec "$0" run -c "$1" <&- >&- 2>&-"#, DaemonProcess.programs + "/pgmqd", file]
        )
        let writing = try await reader(of: file)
        for descriptor in 0...2 {
            let path = "/proc/\(daemon.pid)/fd/\(descriptor)"
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == "/dev/null")
        }
        #expect(write(writing, "nonsense", 8) == 8)
        close(writing)
        #expect(try await daemon.exit() == 78)
    }

    @Test(arguments: ["pgmqd", "LedgerDaemon"])
    func `where nobody reads its complaint, its exit code is still the one`(program: String) async throws {
        let folder = try TestFolder()
        let script = """
            { while [ ! -e "$1/gone" ]; do sleep 0.1; done; "$0" run -c /nonexistent 2>&1; echo $? > "$1/status"; } |
            { exec <&-; : > "$1/gone"; }
            """
        _ = try await ProgramRun(
            ["-c", script, DaemonProcess.programs + "/" + program, folder.path],
            program: "/bin/sh"
        )
        #expect(folder.text("status") == "78\n")
    }
}
