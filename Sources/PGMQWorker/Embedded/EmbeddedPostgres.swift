import Foundation
import Synchronization

/// A private PostgreSQL, run from the machine's own programs in a folder of its own.
///
/// It speaks on a Unix socket that no other user can reach, keeps its data between runs, and commits durably like any
/// other. As root the server itself runs as the user `postgres`.
///
/// Its end: ``stop(_:)`` ends it and waits. When this process ends by any other way, `kill -9` included, the kernel
/// sends the server SIGINT, a fast shutdown (where `setpriv` exists, as on every Debian). A server that outlived even
/// that is ended by the next ``start(within:)``. Dropping the value does not stop the server.
public final class EmbeddedPostgres: Sendable {
    /// How to end the server.
    public enum StopMode: Sendable {
        /// Sessions are cut, the data is left clean.
        case fast
        /// As if the machine had lost power, but by the server itself; recovery follows at the next start.
        case immediate
        /// `kill -9` of the postmaster.
        case kill
    }

    private enum Phase {
        case stopped
        /// Starting or stopping.
        case busy
        case running(ChildProcess, StateLock, PostgresPrograms)
    }

    public let database: String
    let port: Int
    let listensOnTCP: Bool
    private let programsFolder: String?
    let folder: StateFolder
    private let settings: [String: String]
    private let environment: [String: String]
    private let phase = Mutex(Phase.stopped)

    /// - Parameters:
    ///   - directory: the state folder; made when it is missing, refused when it holds anything that is not ours.
    ///   - database: made at the first start.
    ///   - settings: parameters of postgresql.conf. They go on the command line: ALTER SYSTEM cannot override them.
    ///   - environment: for the server, over the little that it gets of this process's.
    ///   - port: listen on 127.0.0.1 as well, with a password, as any user of the machine can come there.
    ///   - programs: the folder with PostgreSQL's programs, where not the machine's usual ones are meant.
    public init(
        directory: String,
        database: String = "pgmqd",
        settings: [String: String] = [:],
        environment: [String: String] = [:],
        port: Int? = nil,
        programs: String? = nil
    ) throws {
        guard !directory.isEmpty, !directory.contains(where: \.isNewline) else {
            throw EmbeddedPostgresError("The state folder's name is empty or has a line break.", advice: "Name one.")
        }
        self.database = database
        self.settings = settings
        self.environment = environment
        self.port = port ?? 5432
        self.listensOnTCP = port != nil
        self.programsFolder = programs
        self.folder = StateFolder(directory: directory, port: self.port)
    }

    /// The state folder, as an absolute path.
    public var directory: String { folder.path }

    /// The folder that holds the socket: the `host` of a connection.
    public var socketDirectory: String { folder.socketDirectory }

    /// What the server writes; appended to by every run.
    public var logFile: String { folder.log }

    /// The postmaster, while it runs.
    public var processID: Int32? {
        guard case .running(let server, _, _) = phase.withLock({ $0 }), !server.hasExited else { return nil }
        return server.processID
    }

    /// Starts the server, making the cluster and the database when they are missing, and returns when it accepts
    /// connections. Works again after ``stop(_:)``, and after the server died by itself.
    ///
    /// - Parameter limit: for the server alone; recovery after a crash takes its part of it.
    public func start(within limit: Duration = .seconds(60)) async throws {
        let before = try enter()
        var server: ChildProcess?
        do {
            let account = try ServerAccount.current()
            let lock: StateLock
            if case .running(_, let held, _) = before { lock = held } else { lock = try folder.claim(for: account) }
            let cluster = Cluster(folder: folder, account: account)
            try await DataFolderUsers(folder: folder).clear(lock: lock)
            let programs = try await cluster.prepare(programs: programsFolder)
            let log = try ServerLog(folder: folder)
            let command = try account.command(surroundings + [programs.postgres] + arguments(), followsParent: true)
            let started = try await ChildProcess.start(command, output: log.handle, errors: log.handle)
            server = started
            lock.record(server: started.processID)
            try await cluster.waitUntilReady(started, log: log, limit: limit)
            try await prepareDatabase(programs)
            phase.withLock { $0 = .running(started, lock, programs) }
        } catch {
            if let server { await server.end(.fast, in: folder) }
            phase.withLock { $0 = .stopped }
            throw error
        }
    }

    /// Ends the server and returns when no process of it is left; a mode that does not work in its time is followed by
    /// the next harder one. Not cut short by cancellation: a server half stopped would be worse than a late return.
    public func stop(_ mode: StopMode = .fast) async {
        let running: (ChildProcess, StateLock)? = phase.withLock { phase in
            guard case .running(let server, let lock, _) = phase else { return nil }
            phase = .busy
            return (server, lock)
        }
        guard let (server, lock) = running else { return }
        await server.end(mode, in: folder)
        lock.record(server: nil)
        // Made again by the next start: nothing is left below /tmp.
        rmdir(socketDirectory)
        phase.withLock { $0 = .stopped }
    }

    /// Returns when the server has ended, by whatever cause, or the task was cancelled; at once when none runs.
    public func waitUntilExit() async {
        guard case .running(let server, _, _) = phase.withLock({ $0 }) else { return }
        await server.waitForExit()
    }

    /// Removes the cluster, the log and the folder. Only of a stopped server, and only in a folder that carries our
    /// marker; files in it that we did not make stay.
    public func reset() async throws {
        guard case .stopped = try enter() else {
            phase.withLock { $0 = .stopped }
            throw EmbeddedPostgresError("The server has not been stopped.", advice: "Stop it before the reset.")
        }
        defer { phase.withLock { $0 = .stopped } }
        guard FileManager.default.fileExists(atPath: folder.marker) else {
            guard FileManager.default.fileExists(atPath: folder.path) else { return }
            throw EmbeddedPostgresError(
                "\(folder.path) is no state folder of pgmqd (it has no .pgmqd-state); nothing was removed.",
                advice: "Remove it yourself if it is the one you mean."
            )
        }
        let lock = try folder.claim(for: try ServerAccount.current())
        try await DataFolderUsers(folder: folder).clear(lock: lock)
        try folder.removeAll()
    }

    func runningPrograms() throws -> PostgresPrograms {
        guard case .running(_, _, let programs) = phase.withLock({ $0 }) else {
            throw EmbeddedPostgresError("The server in \(folder.path) is not running.", advice: "Start it first.")
        }
        return programs
    }

    /// - Returns: the phase before; what is running there has died.
    private func enter() throws -> Phase {
        try phase.withLock { phase in
            let before = phase
            switch before {
            case .stopped: break
            case .running(let server, _, _) where server.hasExited: break
            case .running, .busy:
                throw EmbeddedPostgresError("The server in \(folder.path) is running.", advice: "Stop it first.")
            }
            phase = .busy
            return before
        }
    }

    /// Set behind the change of user, which is not to see them: a library that is preloaded would keep files of root's.
    private var surroundings: [String] {
        environment.isEmpty ? [] : ["/usr/bin/env"] + environment.map { "\($0.key)=\($0.value)" }
    }

    private func arguments() -> [String] {
        let quotedSocketFolder = "\"" + socketDirectory.replacingOccurrences(of: "\"", with: "\"\"") + "\""
        var all = [
            "listen_addresses": listensOnTCP ? "127.0.0.1" : "", "port": "\(port)",
            "unix_socket_directories": quotedSocketFolder, "cluster_name": "pgmqd",
            "logging_collector": "off", "log_destination": "stderr",
        ]
        all.merge(settings) { _, own in own }
        return ["-D", folder.data] + all.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
    }
}
