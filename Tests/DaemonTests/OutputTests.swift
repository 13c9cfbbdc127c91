import TestSupport
import Testing

/// Standard output that takes nothing.
@Suite struct OutputTests {
    /// - Parameter script: for a shell; `$0` is pgmqd.
    private func shell(_ script: String, _ arguments: String...) async throws -> ProgramRun {
        try await ProgramRun(["-c", script, DaemonProcess.programs + "/pgmqd"] + arguments, program: "/bin/sh")
    }

    @Test func `a full disk is one line and exit code 1`() async throws {
        let run = try await shell(#"exec "$0" migrate --sql > /dev/full"#)
        #expect(run.code == 1)
        #expect(run.errors == "cannot write to standard output: No space left on device\n")
    }

    @Test func `where it is closed, the connection does not take its place`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        let run = try await shell(#"exec "$0" queues --database "$1" >&-"#, database.url)
        #expect(run.code == 1)
        #expect(run.errors == "cannot write to standard output: Bad file descriptor\n")
    }

    @Test func `a reader that has gone is no matter to speak of`() async throws {
        let folder = try TestFolder()
        let run = try await shell(
            """
            { while [ ! -e "$1/gone" ]; do sleep 0.1; done; "$0" migrate --sql; echo "status $?" >&2; } |
            { exec <&-; : > "$1/gone"; }
            """,
            folder.path
        )
        #expect(run.errors == "status 1\n")
    }

    @Test func `without standard error there is still an exit code`() async throws {
        #expect(try await shell(#"exec "$0" migrate --sql > /dev/full 2>&-"#).code == 1)
        #expect(try await shell(#"exec "$0" check -c /nonexistent 2> /dev/full"#).code == 78)
    }
}
