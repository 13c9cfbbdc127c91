import Foundation
import Glibc
import PGMQ
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

    /// What `pgmqd grants` prints for this queue.
    func grant(_ queue: String, to role: String) async throws {
        let options = QueueOptions(
            visibilityTimeout: .seconds(2),
            maxMessageBytes: 1 << 20,
            archives: true,
            durable: true,
            deadLetter: QueueName(queue + "_dlq")
        )
        let statements = try await connected {
            try await Grants($0, role: role).statements(for: [(QueueName(queue), options)])
        }
        for statement in statements { try await sql(statement) }
    }

    /// The roles of a daemon's connections that stand: `work` twice, `renew`, `listen`.
    func roles() async throws -> [String] {
        let rows = try await sql(
            """
            select substr(application_name, 7) from pg_stat_activity
            where datname = current_database() and application_name like 'pgmqd %' order by 1
            """
        )
        return (0..<rows.count).compactMap { rows.text($0, 0) }
    }

    /// Ends connections of a daemon: all, or those of one role.
    func terminate(_ role: String = "%") async throws {
        try await sql(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name like 'pgmqd ' || $1
            """,
            [.text(role)]
        )
    }

    /// Returns when the only message's lease has been extended beyond the end that it has now, and that has passed.
    func leaseOutlasted(_ queue: String) async throws {
        let end = try await text("select max(vt)::text from pgmq.q_\(queue)") ?? ""
        try await eventually("the lease has been outlasted") {
            try await int("select (clock_timestamp() > $1::timestamptz)::int", [.text(end)]) == 1
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
