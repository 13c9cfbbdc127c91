import Foundation

/// The data folder of a server: making it, and waiting for the server on it.
struct Cluster {
    let folder: StateFolder
    let account: ServerAccount

    /// Runs initdb at the first time.
    ///
    /// - Parameter named: the folder of the programs, where the caller has chosen one.
    /// - Returns: the programs of the version that the data belongs to.
    func prepare(programs named: String?) async throws -> PostgresPrograms {
        try folder.makeSocketFolder(for: account)
        let version = try? String(contentsOfFile: "\(folder.data)/PG_VERSION", encoding: .utf8)
        let programs = try await PostgresPrograms.find(
            version: version.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) },
            in: named
        )
        guard version == nil else {
            try checkOwner()
            return programs
        }
        try? FileManager.default.removeItem(atPath: folder.unfinishedData)
        try folder.makeFolder(folder.unfinishedData, mode: 0o700)
        try account.own(folder.unfinishedData)
        let command = try account.command([
            programs.initdb, "-D", folder.unfinishedData, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            // Only we can enter the folder of the socket; anybody can connect to a port.
            "--auth-local=trust", "--auth-host=scram-sha-256",
        ])
        _ = try await ProgramRun(
            executable: command[0],
            arguments: Array(command.dropFirst()),
            deadline: .seconds(180)
        ).output()
        guard rename(folder.unfinishedData, folder.data) == 0 else {
            throw EmbeddedPostgresError(
                "\(folder.data) cannot be made: \(String(cString: strerror(errno))).",
                advice: "If a folder of that name is there, it is no whole cluster: reset the state folder."
            )
        }
        return programs
    }

    func waitUntilReady(_ server: ChildProcess, log: ServerLog, limit: Duration) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            if let file = PostmasterFile(path: folder.postmasterPID), file.isReady, file.process == server.processID {
                return
            }
            if server.hasExited {
                throw EmbeddedPostgresError(
                    "PostgreSQL did not start in \(folder.path).",
                    output: log.tail(),
                    advice: "The whole log is \(folder.log)."
                )
            }
            if ContinuousClock.now >= deadline {
                throw EmbeddedPostgresError(
                    "PostgreSQL in \(folder.path) accepts no connections after \(limit).",
                    output: log.tail(),
                    advice: "The whole log is \(folder.log). Recovery after a crash may need a longer limit."
                )
            }
            // Returns at once should the server end.
            _ = await server.exits(within: .milliseconds(20))
            try Task.checkCancellation()
        }
    }

    private func checkOwner() throws {
        var info = stat()
        guard stat(folder.data, &info) == 0, info.st_uid != account.userID else { return }
        throw EmbeddedPostgresError(
            "\(folder.data) belongs to the user with id \(info.st_uid), and the server would run as \(account.userID).",
            advice: "Run this as the user who made the state folder, or name another folder."
        )
    }
}
