import Engine
import Handlers
import Testing

@Suite struct CommandSetupTests {
    /// Here, not in the tests, where it might be gone after its last use: the children have only its path.
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    @Test func nameIsLookedUpInPath() async throws {
        let handler = try CommandHandler(command: ["sh", "-c", "exit 3"], environment: ["PATH": "/nowhere:bin:/bin"])
        #expect(handler.executable == "/bin/sh")
        #expect(await handler.handle(message()) == .failed("exit status 3"))
    }

    @Test func wrongSetupIsRefused() {
        #expect(throws: CommandError.empty) { try CommandHandler(command: []) }
        #expect(throws: CommandError.empty) { try CommandHandler(command: [""]) }
        #expect(throws: CommandError.relative("bin/x")) { try CommandHandler(command: ["bin/x"]) }
        #expect(throws: CommandError.notInPath("no-such-program", path: "/bin")) {
            try CommandHandler(command: ["no-such-program"], environment: ["PATH": "/bin"])
        }
        #expect(throws: CommandError.nul("an argument of '/bin/sh'")) {
            try CommandHandler(command: ["/bin/sh", "a\0b"])
        }
        #expect(throws: CommandError.relativeWorkingDirectory("lib")) {
            try CommandHandler(command: ["/bin/sh"], workingDirectory: "lib")
        }
        #expect(throws: CommandError.invalidVariable("A=B")) {
            try CommandHandler(command: ["/bin/sh"], environment: ["A=B": "c"])
        }
        #expect(throws: CommandError.reservedVariable("PGMQD_QUEUE")) {
            try CommandHandler(command: ["/bin/sh"], environment: ["PGMQD_QUEUE": "c"])
        }
        for name in ["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "PGPASSWORD"] {
            #expect(throws: CommandError.secretVariable(name)) {
                try CommandHandler(command: ["/bin/sh"], inheriting: [name])
            }
        }
    }

    @Test func missingProgramIsNotStarted() async throws {
        let handler = try CommandHandler(command: ["/nowhere/x"])
        let reason = "cannot start /nowhere/x: No such file or directory"
        #expect(await handler.handle(message()) == .notStarted(reason))
        #expect(throws: CommandError.notExecutable("/nowhere/x", reason: "No such file or directory")) {
            try handler.check()
        }
    }

    @Test func fileWithoutTheRightIsNotStarted() async throws {
        let path = try scratch.write("#!/bin/sh\n", to: "handler", mode: 0o644)
        let handler = try CommandHandler(command: [path])
        #expect(await handler.handle(message()) == .notStarted("cannot start \(path): Permission denied"))
        #expect(throws: CommandError.notExecutable(path, reason: "Permission denied")) { try handler.check() }
    }

    @Test func misleadingErrorsAreExplained() async throws {
        let lost = try await scratch.program("#!/nowhere/python\n", "lost")
        let bare = try await scratch.program("exit 0\n", "bare")
        #expect(
            await (try CommandHandler(command: [lost])).handle(message()).notStartedReason
                == "cannot start \(lost): No such file or directory: "
                + "the file is there, but not the interpreter that it names"
        )
        #expect(
            await (try CommandHandler(command: [bare])).handle(message()).notStartedReason
                == "cannot start \(bare): Exec format error: a script needs a first line such as #!/bin/sh"
        )
        let elsewhere = try CommandHandler(command: ["/bin/sh"], workingDirectory: "/nowhere")
        #expect(
            await elsewhere.handle(message())
                == .notStarted("cannot start /bin/sh: working directory /nowhere: No such file or directory")
        )
    }

    @Test func tooMuchForTheKernelIsNotStarted() async throws {
        let handler = try CommandHandler(command: ["/bin/true", String(repeating: "x", count: 200_000)])
        #expect(await handler.handle(message()) == .notStarted("cannot start /bin/true: Argument list too long"))
    }
}
