import Foundation

/// The processes that work in a data folder: a postmaster and its backends all have it as their working directory.
///
/// Process ids alone prove nothing: after a crash of the machine another process may carry the number that
/// `postmaster.pid` names, and backends outlive a postmaster that was killed by some moments.
struct DataFolderUsers {
    let folder: StateFolder

    func find() -> [pid_t] {
        let target = URL(fileURLWithPath: folder.data).resolvingSymlinksInPath().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var found = names.compactMap { pid_t($0) }.filter { process in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")) == target
        }
        // A root without CAP_SYS_PTRACE (in a container) may not look there; then the postmaster's name has to do.
        if let postmaster = PostmasterFile(path: folder.postmasterPID)?.process, !found.contains(postmaster),
            access("/proc/\(postmaster)/cwd", F_OK) != 0, errno == EACCES,
            let name = try? String(contentsOfFile: "/proc/\(postmaster)/comm", encoding: .utf8),
            name.hasPrefix("postgres")
        {
            found.append(postmaster)
        }
        return found
    }

    /// - Returns: whether none is left; early when the task is cancelled.
    func areGone(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while !find().isEmpty {
            guard ContinuousClock.now < deadline else { return false }
            // The kernel tells nobody but the parent about an end, and the parent was the postmaster.
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return find().isEmpty }
        }
        return true
    }

    func signal(_ number: Int32) {
        for process in find() { kill(process, number) }
    }

    /// Makes way for a server of ours: waits for what is left of a dead one, ends the server of a pgmqd that was
    /// killed, and refuses where somebody started one by other means.
    func clear(lock: StateLock) async throws {
        var patience = Duration.seconds(5)
        if let file = PostmasterFile(path: folder.postmasterPID), find().contains(file.process) {
            guard file.process == lock.server else {
                throw EmbeddedPostgresError(
                    "A PostgreSQL server that pgmqd did not start, process \(file.process), runs in \(folder.data).",
                    advice: "Stop it (kill -INT \(file.process)), or name another state folder."
                )
            }
            patience = .seconds(20)
            // Should it be stopped by a signal, it has to go on to hear this one.
            kill(file.process, SIGINT)
            kill(file.process, SIGCONT)
        }
        if await areGone(within: patience) == false {
            try Task.checkCancellation()
            signal(SIGKILL)
            _ = await areGone(within: .seconds(5))
        }
        // Nobody works here, so the number in these files is nobody's, or by now somebody else's, which would keep the
        // server from starting. It still has the lock on its shared memory against what we could not see.
        for file in [folder.postmasterPID, folder.socketLock] { unlink(file) }
    }
}
