import Foundation
import Synchronization

/// A running postmaster, and the thread it is bound to.
///
/// The kernel sends the parent-death signal when the *thread* that started a process ends. So one thread starts the
/// server and then waits for it: threads of a pool come and go, and the server would go with them.
final class ServerProcess: Sendable {
    let processID: pid_t
    private let state = Mutex(State())

    private struct State {
        /// From then on the number may be another process's.
        var hasExited = false
        var waiting: [AsyncStream<Never>.Continuation] = []
    }

    private init(processID: pid_t) {
        self.processID = processID
    }

    /// - Parameter command: the program and its arguments. It gets a process group of its own (Foundation sees to
    ///   that), so that Ctrl-C on the terminal reaches us alone and we end the server in our order.
    static func start(_ command: [String], log: FileHandle) async throws -> ServerProcess {
        try await withCheckedThrowingContinuation { started in
            let thread = Thread {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: command[0])
                process.arguments = Array(command.dropFirst())
                process.environment = ProgramRun.cleanEnvironment
                process.currentDirectoryURL = URL(fileURLWithPath: "/")
                process.standardInput = FileHandle.nullDevice
                process.standardOutput = log
                process.standardError = log
                do {
                    try process.run()
                } catch {
                    started.resume(
                        throwing: EmbeddedPostgresError(
                            "\(command[0]) cannot be run: \(error.localizedDescription)",
                            advice: "Install it (deploy/setup does on Debian)."
                        )
                    )
                    return
                }
                let server = ServerProcess(processID: process.processIdentifier)
                started.resume(returning: server)
                server.waitAndReap()
            }
            thread.name = "pgmqd-postgres"
            thread.start()
        }
    }

    /// Foundation learns of an end only when the last backend is gone too, and this is wanted at once.
    private func waitAndReap() {
        var info = siginfo_t()
        while waitid(P_PID, id_t(processID), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
        let waiting = state.withLock { state in
            state.hasExited = true
            var status: Int32 = 0
            waitpid(processID, &status, 0)
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.finish() }
    }

    var hasExited: Bool { state.withLock { $0.hasExited } }

    /// Never reaches a process that got the number later.
    func signal(_ number: Int32) {
        state.withLock { state in
            if !state.hasExited { kill(processID, number) }
        }
    }

    /// Returns at the end of the server, or of the calling task.
    func waitForExit() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
        let late = state.withLock { state in
            if !state.hasExited { state.waiting.append(continuation) }
            return state.hasExited
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
