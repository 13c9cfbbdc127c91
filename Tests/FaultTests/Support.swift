import Foundation
import Glibc
import Postgres
import TestSupport

/// What the daemon's statements are known by on the wire.
enum Mark {
    static let claim = "former_vt"
    static let deadLetter = "'x-pgmqd'"
}

extension TestDatabase {
    /// Connections of daemons to this database.
    func backends() async throws -> Int {
        try await int(
            "select count(*) from pg_stat_activity where datname = $1 and application_name like 'pgmqd %'",
            [.text(name)]
        )
    }

    /// A connection inside a transaction that stays open meanwhile; afterwards it is ended with this word.
    func inTransaction<R: Sendable>(
        _ statements: [String],
        end: String = "commit",
        while body: () async throws -> R
    ) async throws -> R {
        try await connected { connection in
            _ = try await connection.run((["begin"] + statements).map { Statement($0) }, deadline: .seconds(30))
            let result = try await body()
            _ = try await connection.run([Statement(end)], deadline: .seconds(30))
            return result
        }
    }

    /// Stands for the claims of other clients.
    func setReadCount(_ queue: String, _ count: Int) async throws {
        try await sql("update pgmq.q_\(queue) set read_ct = \(count)")
    }
}

extension Ledger {
    func ends(_ verdict: String) -> [Entry] { ends.filter { $0.verdict == verdict } }
}

/// CLOCK_MONOTONIC in nanoseconds, as the ledger writes it.
func monotonicNow() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
