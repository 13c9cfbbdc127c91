import Foundation
import Glibc
import PGMQWorker

/// A real PgBouncer in transaction mode before a test's server, on a Unix socket of its own.
public final class PgBouncer: Sendable {
    private let folder: String
    private let child: Child

    public init(before server: TestServer) async throws {
        folder = FileManager.default.temporaryDirectory.path + "/pgmqd-bouncer-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let configuration = """
            [databases]
            * = host=\(server.postgres.socketDirectory) port=5432 user=postgres
            [pgbouncer]
            unix_socket_dir = \(folder)
            listen_port = 6432
            auth_type = any
            pool_mode = transaction
            server_login_retry = 1
            """
        try configuration.write(toFile: folder + "/pgbouncer.ini", atomically: true, encoding: .utf8)
        var command = ["/usr/sbin/pgbouncer", folder + "/pgbouncer.ini"]
        // It does not run as root, and the server's socket is its user's alone.
        if geteuid() == 0, let user = getpwnam("postgres")?.pointee {
            chown(folder, user.pw_uid, user.pw_gid)
            let change = ["--reuid=\(user.pw_uid)", "--regid=\(user.pw_gid)", "--init-groups", "--"]
            command = ["/usr/bin/setpriv"] + change + command
        }
        child = try Child(command, environment: [:], output: folder + "/log", errors: folder + "/log")
        let (child, folder) = (child, folder)
        try await eventually("PgBouncer listens") {
            if child.exit != nil {
                let log = try String(contentsOfFile: folder + "/log", encoding: .utf8)
                throw NeverHappened(description: "PgBouncer has ended: \(log)")
            }
            return FileManager.default.fileExists(atPath: folder + "/.s.PGSQL.6432")
        }
    }

    public func url(_ database: TestDatabase) -> String {
        "postgresql:///\(database.name)?host=\(folder)&port=6432&user=postgres"
    }

    deinit {
        child.end()
        try? FileManager.default.removeItem(atPath: folder)
    }
}
