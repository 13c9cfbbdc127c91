import Foundation
import Glibc
import TestSupport
import Testing

/// `pgmqd dev`, and the note by which the other commands find it.
@Suite(.serialized) struct DevTests {
    private func dev(_ folder: TestFolder, state: String, runtime: String) throws -> DaemonProcess {
        var environment = TestPostgres.environment
        environment["XDG_RUNTIME_DIR"] = runtime
        // Where PGMQ's script is kept.
        for name in ["HOME", "XDG_CACHE_HOME"] { environment[name] = ProcessInfo.processInfo.environment[name] }
        return try DaemonProcess(
            "",
            arguments: ["dev", "--server-only", "--state", "\(folder.path)/\(state)"],
            environment: environment
        )
    }

    @Test func `a second one leaves the note of the first alone, and takes over that of a dead one`() async throws {
        let folder = try TestFolder()
        let name = ".pgmqd-dev.url"
        let first = try dev(folder, state: "a", runtime: folder.path)
        try await first.logged("Ctrl-C ends it")
        let note = try #require(folder.text(name))
        #expect(first.log.contains("runs: \(note)\n"))
        let second = try dev(folder, state: "b", runtime: folder.path)
        try await second.logged("Ctrl-C ends it")
        #expect(second.log.contains("another `pgmqd dev` runs"))
        #expect(folder.text(name) == note)
        #expect(try await second.stop() == 0)
        #expect(folder.text(name) == note)
        #expect(try await first.stop() == 0)
        #expect(folder.text(name) == nil)

        try folder.write(name, note)
        let third = try dev(folder, state: "b", runtime: folder.path)
        try await third.logged("Ctrl-C ends it")
        #expect(!third.log.contains("note:"))
        #expect(folder.text(name) != note)
        let found = try await ProgramRun(["queues"], environment: ["XDG_RUNTIME_DIR": folder.path])
        #expect(found.code == 0)
        #expect(try await third.stop() == 0)
    }

    /// As whoever runs the tests; and where that is root, whose server runs as `postgres`, as an ordinary user, too.
    @Test(arguments: geteuid() == 0 ? ["root", "nobody"] : [NSUserName()])
    func `it works a configuration, keeps its state until --reset, and Ctrl-C ends it whole`(user: String) async throws
    {
        let folder = try TestFolder()
        let account = try #require(getpwnam(user)?.pointee)
        // What the user makes is below; the configuration is only to be read.
        #expect(chown(folder.path, account.pw_uid, account.pw_gid) == 0)
        let config = try folder.write(
            "pgmqd.toml",
            """
            [database]
            url = "${PGMQD_DEV_URL}"
            [[queue]]
            name = "work"
            handler = \(TestFolder.shell(#"echo "$PGMQD_MSG_ID" >> "$1""#, folder.path + "/done"))
            """
        )
        // Others may be shut out of the folder that it was built in.
        let program = folder.path + "/pgmqd"
        try await install(program: DaemonProcess.programs + "/pgmqd", at: program)
        func dev(_ options: String...) throws -> DaemonProcess {
            let isOther = account.pw_uid != geteuid()
            return try DaemonProcess(
                "",
                program: program,
                arguments: ["dev", "-c", config, "--state", folder.path + "/state"] + options,
                environment: TestPostgres.environment.merging([
                    "XDG_RUNTIME_DIR": folder.path, "HOME": isOther ? folder.path : NSHomeDirectory(),
                ]) { $1 },
                prefix: isOther
                    ? ["/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(account.pw_gid)", "--clear-groups"] : []
            )
        }
        /// The server's main process, and whose it is.
        func server() throws -> (pid: Int32, user: uid_t) {
            let file = try #require(folder.text("state/data/postmaster.pid"))
            let pid = try #require(file.split(separator: "\n").first.flatMap { Int32($0) })
            var info = stat()
            #expect(stat("/proc/\(pid)", &info) == 0)
            return (pid, info.st_uid)
        }
        func end(_ daemon: DaemonProcess) async throws {
            let running = try server()
            #expect(running.user == (user == "root" ? getpwnam("postgres")?.pointee.pw_uid : account.pw_uid))
            daemon.signal(SIGINT)
            #expect(try await daemon.exit() == 0)
            #expect(kill(running.pid, 0) == -1)
            #expect(folder.text(".pgmqd-dev.url") == nil)
        }
        func send(_ options: String...) async throws -> ProgramRun {
            try await ProgramRun(["send", "work", "1"] + options, environment: ["XDG_RUNTIME_DIR": folder.path])
        }

        let first = try dev()
        try await first.logged("ready")
        #expect(try await send().text == "1\n")
        #expect(try await send("--delay", "3600").text == "2\n")
        try await eventually("the first is done") { folder.text("done") == "1\n" }
        try await end(first)

        let second = try dev()
        try await second.logged("ready")
        #expect(try await send().text == "3\n")
        try await eventually("the next is done") { folder.text("done") == "1\n3\n" }
        try await end(second)

        let third = try dev("--reset", "--server-only")
        try await third.logged("Ctrl-C ends it")
        #expect(try await send().text == "1\n")
        try await end(third)
    }

    @Test func `a note that cannot be written is no reason to end`() async throws {
        let folder = try TestFolder()
        let server = try dev(folder, state: "state", runtime: "/nonexistent")
        try await server.logged("Ctrl-C ends it")
        #expect(server.log.contains("note: cannot write /nonexistent/.pgmqd-dev.url"))
        #expect(try await server.stop() == 0)
    }
}
