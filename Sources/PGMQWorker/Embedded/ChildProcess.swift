import CSpawn
import Foundation
import Synchronization

/// A running program of PostgreSQL, and the thread it is bound to.
///
/// The kernel sends the parent-death signal when the *thread* that started a process ends. So one thread starts the
/// program and then waits for it: threads of a pool come and go, and the program would go with them.
///
/// Not Foundation's `Process`, which passes on the mask of the thread that it is called on. Threads of libdispatch block
/// nearly all signals, and SIGPIPE is ignored: psql or a server would start deaf.
final class ChildProcess: Sendable {
    let processID: pid_t
    private let state = Mutex(State())

    private struct State {
        /// As of waitpid(2). From then on the number may be another process's.
        var status: Int32?
        var waiting: [AsyncStream<Never>.Continuation] = []
    }

    private init(processID: pid_t) {
        self.processID = processID
    }

    /// - Parameters:
    ///   - command: the program's absolute path, and its arguments. It gets a process group of its own, so that Ctrl-C
    ///     on the terminal reaches us alone and we end it in our order.
    ///   - environment: all of it.
    ///   - input: empty by default.
    static func start(
        _ command: [String],
        environment: [String: String] = ProgramRun.cleanEnvironment,
        input: FileHandle? = nil,
        output: FileHandle,
        errors: FileHandle
    ) async throws -> ChildProcess {
        try await withCheckedThrowingContinuation { started in
            let thread = Thread {
                var processID: pid_t = 0
                let failure = spawn(command, environment, input, output, errors, &processID)
                guard failure == 0 else {
                    started.resume(
                        throwing: EmbeddedPostgresError(
                            "\(command[0]) cannot be run: \(String(cString: strerror(failure))).",
                            advice: "Install it (deploy/setup does on Debian)."
                        )
                    )
                    return
                }
                let process = ChildProcess(processID: processID)
                started.resume(returning: process)
                process.waitAndReap()
            }
            thread.name = "pgmqd-postgres"
            thread.start()
        }
    }

    /// - Returns: 0 or an errno.
    private static func spawn(
        _ command: [String],
        _ environment: [String: String],
        _ input: FileHandle?,
        _ output: FileHandle,
        _ errors: FileHandle,
        _ processID: inout pid_t
    ) -> Int32 {
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard null >= 0 else { return errno }
        defer { close(null) }
        return withCStrings(command) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                // Another account may not be able to enter the folder we are in.
                "/".withCString { folder in
                    var plan = cspawn_plan(
                        path: arguments[0],
                        arguments: arguments,
                        environment: variables,
                        working_directory: folder,
                        input: input?.fileDescriptor ?? null,
                        output: output.fileDescriptor,
                        errors: errors.fileDescriptor
                    )
                    return cspawn_start_unbound(&plan, &processID)
                }
            }
        }
    }

    private static func withCStrings<Result>(
        _ strings: [String],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return (copies.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { pointers in
            guard let base = pointers.baseAddress else { preconditionFailure("an array with a nil has memory") }
            return body(base)
        }
    }

    private func waitAndReap() {
        var info = siginfo_t()
        while waitid(P_PID, id_t(processID), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
        let waiting = state.withLock { state in
            var status: Int32 = 0
            waitpid(processID, &status, 0)
            state.status = status
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.finish() }
    }

    var hasExited: Bool { status != nil }

    /// As of waitpid(2); nil while it runs.
    var status: Int32? { state.withLock { $0.status } }

    /// Never reaches a process that got the number later.
    func signal(_ number: Int32) {
        state.withLock { state in
            if state.status == nil { kill(processID, number) }
        }
    }

    /// Returns at the end of the program, or of the calling task.
    func waitForExit() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
        let late = state.withLock { state in
            if state.status == nil { state.waiting.append(continuation) }
            return state.status != nil
        }
        if late { continuation.finish() }
        for await _ in stream {}
    }

    /// - Returns: whether it ended in that time.
    func exits(within limit: Duration) async -> Bool {
        await withTaskGroup { group in
            group.addTask { await self.waitForExit() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        return hasExited
    }
}
