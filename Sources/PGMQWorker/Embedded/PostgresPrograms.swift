import Foundation

/// The folder with the programs of one version of PostgreSQL.
struct PostgresPrograms: Sendable {
    let folder: String

    var postgres: String { "\(folder)/postgres" }
    var initdb: String { "\(folder)/initdb" }
    var psql: String { "\(folder)/psql" }

    /// The caller's folder decides, then `PGMQD_PG_BIN`; else the first folder of PATH, and the newest of Debian's, that
    /// has all of them.
    ///
    /// - Parameter version: the major version that made the data, which no other can read.
    static func find(version: String?, in folder: String?) async throws -> PostgresPrograms {
        let named = folder ?? ProcessInfo.processInfo.environment["PGMQD_PG_BIN"]
        let folders = named.map { [$0] } ?? (ProgramRun.searchPath + debianFolders())
        let complete = folders.map(PostgresPrograms.init(folder:)).filter { programs in
            [programs.postgres, programs.initdb, programs.psql].allSatisfy(FileManager.default.isExecutableFile)
        }
        guard let first = complete.first else {
            throw EmbeddedPostgresError(
                "No PostgreSQL server was found in \(named ?? "PATH or /usr/lib/postgresql").",
                advice: "Install it (apt-get install postgresql), or set PGMQD_PG_BIN to the folder with initdb."
            )
        }
        guard let version else { return first }
        for programs in complete where try await programs.majorVersion() == version { return programs }
        throw EmbeddedPostgresError(
            "The data was made by PostgreSQL \(version); only \(try await first.majorVersion()) was found.",
            advice: "Install PostgreSQL \(version), or reset the state folder, which removes all data in it."
        )
    }

    private func majorVersion() async throws -> String {
        // "postgres (PostgreSQL) 15.18 (Debian …)"; 19devel and 19beta1 name their version so.
        let line = try await ProgramRun(executable: postgres, arguments: ["--version"]).output()
        let number = line.split(separator: " ").dropFirst(2).first ?? ""
        return String(number.prefix { $0.isNumber })
    }

    private static func debianFolders() -> [String] {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
        return versions.sorted(by: >).map { "\(root)/\($0)/bin" }
    }
}
