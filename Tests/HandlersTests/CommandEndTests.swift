import Engine
import Glibc
import Handlers
import Testing

@Suite struct CommandEndTests {
    /// Here, not in the tests, where it might be gone after its last use: the children have only its path.
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    @Test func cancelledProgramIsAskedToEnd() async throws {
        let witness = try Witness(fifo: scratch.file("fifo"))
        // Told by status 0 that it was done, we still know that it was asked to end.
        let script = #"trap 'echo bye >&2; exit 0' TERM; exec 3>"$0"; sleep 1000 & echo ready >&3; wait"#
        let handler = try shell(script, scratch.file("fifo"))
        let run = Task { await handler.handle(message()) }
        #expect(try await witness.line() == "ready")
        run.cancel()
        let reason = try #require(await run.value.failure)
        #expect(reason.hasPrefix("terminated by pgmqd: exit status 0: "))
        #expect(reason.hasSuffix("bye"))
        #expect(try await witness.rest() == "")
    }

    @Test func programThatIgnoresTheWishIsKilled() async throws {
        let witness = try Witness(fifo: scratch.file("fifo"))
        let script = #"trap '' TERM; exec 3>"$0"; echo ready >&3; while :; do sleep 1000; done"#
        let handler = try shell(script, scratch.file("fifo"), grace: .milliseconds(50))
        let run = Task { await handler.handle(message()) }
        #expect(try await witness.line() == "ready")
        run.cancel()
        #expect(await run.value == .failed("terminated by pgmqd: killed by SIGKILL"))
        #expect(try await witness.rest() == "")
    }

    @Test func stoppedProgramEndsToo() async throws {
        let witness = try Witness(fifo: scratch.file("fifo"))
        let handler = try shell(#"exec 3>"$0"; echo ready >&3; kill -STOP $$"#, scratch.file("fifo"))
        let run = Task { await handler.handle(message()) }
        #expect(try await witness.line() == "ready")
        run.cancel()
        #expect(await run.value.failure?.hasPrefix("terminated by pgmqd") == true)
    }

    @Test func programOfACancelledTaskIsNotStarted() async throws {
        let handler = try shell(#": > "$0""#, scratch.file("ran"))
        let run = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await handler.handle(message())
        }
        #expect(await run.value == .notStarted("cancelled before /bin/sh was started"))
        #expect(access(scratch.file("ran"), F_OK) != 0)
    }

    @Test func cancellationAtAnyMomentEnds() async throws {
        let handler = try shell("exec sleep 1000")
        await withTaskGroup { group in
            for yields in 0..<100 {
                group.addTask {
                    let run = Task { await handler.handle(message()) }
                    for _ in 0..<yields { await Task.yield() }
                    run.cancel()
                    let verdict = await run.value
                    let expected: [Verdict] = [
                        .failed("terminated by pgmqd: killed by SIGTERM"),
                        .notStarted("cancelled before /bin/sh was started"),
                    ]
                    #expect(expected.contains(verdict))
                }
            }
        }
    }

    @Test func grandchildrenAreKilled() async throws {
        let witness = try Witness(fifo: scratch.file("fifo"))
        // It holds standard error open, too, which must keep nobody waiting.
        let handler = try shell(#"exec 3>"$0"; sleep 1000 & echo why >&2; exit 3"#, scratch.file("fifo"))
        #expect(await handler.handle(message()) == .failed("exit status 3: why"))
        #expect(try await witness.rest() == "")
    }

    @Test func grandchildThatLeftTheGroupKeepsNobodyWaiting() async throws {
        let witness = try Witness(fifo: scratch.file("fifo"))
        // It floods standard error until the pipe is closed.
        let script = #"exec 3>"$0"; setsid sh -c 'echo away >&3; exec yes' >&2 & read -r _ < "$1"; exit 3"#
        let handler = try shell(script, scratch.file("fifo"), scratch.file("go"))
        guard mkfifo(scratch.file("go"), 0o600) == 0 else { throw SetupError(step: "mkfifo") }
        let go = open(scratch.file("go"), O_RDWR | O_CLOEXEC)
        defer { close(go) }
        let run = Task { await handler.handle(message()) }
        #expect(try await witness.line() == "away")
        write(go, "\n", 1)
        #expect(await run.value.failure?.hasPrefix("exit status 3") == true)
        #expect(try await witness.rest() == "")
    }

    @Test func closedStandardErrorIsNoEnd() async throws {
        #expect(await (try shell("exec 2>&-; cat > /dev/null; exit 3")).handle(message()) == .failed("exit status 3"))
    }

    @Test func nothingIsLeftBehind() async throws {
        let failing = try shell("echo $$ >&2; exit 3")
        let missing = try CommandHandler(command: ["/nowhere/x"])
        // The thread and its descriptors are there from the first run on.
        _ = await failing.handle(message())
        let before = try descriptors()
        for _ in 0..<200 {
            let reason = try #require(await failing.handle(message()).failure)
            let pid = try #require(pid_t(reason.dropFirst("exit status 3: ".count)))
            // A zombie would still be there.
            #expect(kill(pid, 0) == -1)
            _ = await missing.handle(message(body: nil))
        }
        // Other tests run children beside this one, and end; a leak would stay, and be of 200 at least.
        for _ in 0..<3000 where try descriptors() >= before + 100 { _ = await failing.handle(message()) }
        #expect(try descriptors() < before + 100)
    }

    @Test func manyRunAtOnce() async throws {
        let handler = try shell(#"exit "$(cat)""#)
        await withTaskGroup { group in
            for status in 1...60 {
                group.addTask {
                    let verdict = await handler.handle(message(body: Array("\(status)".utf8)))
                    #expect(verdict == .failed("exit status \(status)"))
                }
            }
        }
    }

    private func descriptors() throws -> Int {
        guard let directory = opendir("/proc/self/fd") else { throw SetupError(step: "opendir") }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil {
            count += 1
        }
        return count
    }
}
