import Foundation

/// The folder that holds everything of one private PostgreSQL.
struct StateFolder: Sendable {
    let path: String
    /// Where the server's socket is; see ``socketFolder(_:port:)``.
    let socketDirectory: String
    let socketLock: String

    var marker: String { "\(path)/.pgmqd-state" }
    var data: String { "\(path)/data" }
    /// A cluster in the making: renamed when initdb is done, so that one killed half-way is never taken for whole.
    var unfinishedData: String { "\(path)/data.unfinished" }
    var log: String { "\(path)/server.log" }
    var oldLog: String { "\(path)/server.log.1" }
    var password: String { "\(path)/password" }
    var postmasterPID: String { "\(data)/postmaster.pid" }

    init(directory: String, port: Int) {
        let url = URL(fileURLWithPath: directory).standardizedFileURL
        path = url.path
        socketDirectory = Self.socketFolder(url.path, port: port)
        socketLock = "\(socketDirectory)/.s.PGSQL.\(port).lock"
    }

    /// Inside the state folder, unless the socket's path would pass the kernel's limit of 107 bytes, or has a comma,
    /// which to libpq separates hosts; then a folder below /tmp whose name follows from the state folder's.
    private static func socketFolder(_ path: String, port: Int) -> String {
        let inside = "\(path)/run"
        if "\(inside)/.s.PGSQL.\(port)".utf8.count <= 107, !path.contains(",") { return inside }
        // FNV-1a: Hasher gives another number in every process.
        let hash = path.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "/tmp/pgmqd-\(geteuid())-\(String(hash, radix: 16))"
    }

    /// Makes the folder ours, or finds that it is; nothing in a folder without our marker is ever touched.
    func claim(for account: ServerAccount) throws -> StateLock {
        try account.checkReach(of: path)
        let files = FileManager.default
        if !files.fileExists(atPath: marker) {
            let found = (try? files.contentsOfDirectory(atPath: path)) ?? []
            guard found.isEmpty else {
                throw EmbeddedPostgresError(
                    "\(path) holds files and is no state folder of pgmqd (it has no .pgmqd-state).",
                    advice: "Name an empty or a new folder."
                )
            }
            try makeFolder(path, mode: 0o700)
            // The server, another user then, has to pass through. What is in it is closed to others by itself.
            if geteuid() == 0 { chmod(path, 0o711) }
        }
        try account.checkReach(of: data)
        return try StateLock(folder: self)
    }

    /// The folder of the socket, entered by nobody but the server's user: connections are trusted there.
    func makeSocketFolder(for account: ServerAccount) throws {
        try makeFolder(socketDirectory, mode: 0o700)
        var info = stat()
        // Not stat: below /tmp somebody else could have put a link to a folder of theirs.
        let isFolder = lstat(socketDirectory, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
        let isOurs = info.st_uid == geteuid() || info.st_uid == account.userID
        guard isFolder, isOurs, info.st_mode & 0o077 == 0 else {
            throw EmbeddedPostgresError(
                "\(socketDirectory), meant for the server's socket, is not a folder of ours that others cannot enter.",
                advice: "Remove it, or name a state folder with a shorter path, so that the socket has room inside it."
            )
        }
        try account.own(socketDirectory)
    }

    /// Made with the mode from the start; one that exists is left as it is.
    func makeFolder(_ folder: String, mode: Int) throws {
        guard !FileManager.default.fileExists(atPath: folder) else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: mode]
            )
        } catch {
            throw EmbeddedPostgresError(
                "\(folder) cannot be made: \(error.localizedDescription)",
                advice: "Name a state folder you may write to."
            )
        }
    }

    /// Removes what we made and nothing else.
    func removeAll() throws {
        let files = FileManager.default
        for item in [data, unfinishedData, socketDirectory, log, oldLog, password, marker]
        where files.fileExists(atPath: item) {
            try files.removeItem(atPath: item)
        }
        // Stays where somebody else's files are in it.
        rmdir(path)
    }
}
