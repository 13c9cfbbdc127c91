import Foundation

/// The PostgreSQL that the tests run on: `PGMQD_TEST_POSTGRES` names its major version, the system's is the default.
public enum TestPostgres {
    private static let version: String? = {
        let name = ProcessInfo.processInfo.environment["PGMQD_TEST_POSTGRES"] ?? ""
        return name.isEmpty ? nil : name
    }()

    /// The folder of its programs; nil where pgmqd finds them.
    public static let programs: String? = version.map { version in
        let fetched = CacheFolder.path(of: "postgresql-\(version)/bin")
        let folder = fetched ?? "\(debian)/\(version)/bin"
        guard FileManager.default.isExecutableFile(atPath: folder + "/postgres") else {
            fatalError("PGMQD_TEST_POSTGRES is \(version); deploy/setup --test fetches 14 and 18")
        }
        return folder
    }

    private static let debian = "/usr/lib/postgresql"

    /// pg_partman, which makes partitioned queues, is there: it comes with Debian's PostgreSQL only.
    public static let hasPartman = programs.map { $0.hasPrefix(debian) } ?? true

    /// Since 15 a crash of the server resets the sequence of an unlogged table; before, that sequence is logged.
    public static let hasUnloggedSequences = version.flatMap { Int($0) }.map { $0 >= 15 } ?? true

    /// For a `pgmqd dev` that starts a server itself.
    public static let environment = programs.map { ["PGMQD_PG_BIN": $0] } ?? [:]
}
