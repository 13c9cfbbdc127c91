import Engine
import Postgres

/// Looks at queues without touching them: no delivery is spent.
public struct Inspection: Sendable {
    let connection: Connection

    public init(_ connection: Connection) {
        self.connection = connection
    }

    private static let deadline: Duration = .seconds(15)
    /// In front of each statement: the server gives up before we do, and the connection goes on.
    private static let bounds = Statement(
        """
        select pg_catalog.set_config('statement_timeout', '12s', true),
            pg_catalog.set_config('lock_timeout', '3s', true)
        """
    )

    /// What is counted is nil where the queue could not be read.
    public struct QueueSummary: Sendable, Codable {
        public let queue: String
        public let isPartitioned: Bool
        public let isUnlogged: Bool
        public var visible: Int?
        /// Claimed or delayed: they become visible when their `vt` passes.
        public var invisible: Int?
        /// Seconds since the oldest claimable message became so; nil where there is none.
        public var oldestClaimableSeconds: Double?
        public var total: Int?
        public var doorbell: Bool?
        /// Why the queue could not be read.
        public var error: String?
    }

    public struct StoredMessage: Sendable {
        public let id: Int64
        public let readCount: Int
        public let enqueuedAt: String
        public let visibleAt: String
        /// JSON text; nil for an SQL NULL.
        public let body: String?
        public let headers: String?
    }

    /// All queues of the database. One that cannot be read is among them, with the reason.
    public func queues() async throws(PostgresError) -> [QueueSummary] {
        let names = try await connection.run(
            [Statement("select queue_name::pg_catalog.text, is_partitioned, is_unlogged from pgmq.meta order by 1")],
            deadline: Self.deadline
        )[0]
        var summaries: [QueueSummary] = []
        for row in 0..<names.count {
            var summary = QueueSummary(
                queue: names.text(row, 0) ?? "",
                isPartitioned: names.bool(row, 1),
                isUnlogged: names.bool(row, 2)
            )
            do throws(PostgresError) {
                try await count(&summary)
            } catch {
                // Without a connection there is no next one.
                guard error.kind == .server else { throw error }
                summary.error = Self.words(for: error)
            }
            summaries.append(summary)
        }
        return summaries
    }

    private func count(_ summary: inout QueueSummary) async throws(PostgresError) {
        let name = QueueName(summary.queue)
        let table = try await connection.quote(identifier: name.table)
        let isVisible = "vt operator(pg_catalog.<=) pg_catalog.clock_timestamp()"
        let count = Statement(
            """
            select pg_catalog.count(*) filter (where \(isVisible)), pg_catalog.count(*),
                extract(epoch from pg_catalog.clock_timestamp()
                    operator(pg_catalog.-) pg_catalog.min(vt) filter (where \(isVisible)))::double precision
            from pgmq.\(table)
            """
        )
        let rings = Doorbell.rings(
            on: "('pgmq.' || pg_catalog.quote_ident($1))::pg_catalog.regclass",
            queue: "$2"
        )
        let doorbell = Statement("select \(rings)", [.text(name.table), .text(name.folded)])
        let rows = try await connection.run([Self.bounds, count, .catalogPath, doorbell], deadline: Self.deadline)
        let counts = rows[1]
        summary.visible = Int(counts.int(0, 0))
        summary.invisible = Int(counts.int(0, 1) - counts.int(0, 0))
        summary.oldestClaimableSeconds = counts.isNull(0, 2) ? nil : counts.double(0, 2)
        summary.total = Int(counts.int(0, 1))
        summary.doorbell = rows[3].bool(0, 0)
    }

    private func bounded(_ statement: Statement) async throws(PostgresError) -> Rows {
        try await connection.run([Self.bounds, statement], deadline: Self.deadline)[1]
    }

    private static func words(for error: PostgresError) -> String {
        switch error.sqlState?.code {
        case "55P03": "locked by another session: \(error)"
        case "57014": "not counted in time: \(error)"
        default: "\(error)"
        }
    }

    /// The messages that would be claimed next, and then the invisible ones.
    public func peek(
        _ queue: QueueName,
        limit: Int,
        id: Int64? = nil
    ) async throws(PostgresError) -> [StoredMessage] {
        let table = try await connection.quote(identifier: queue.table)
        let utc = #"'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"#
        let rows = try await bounded(
            Statement(
                """
                select msg_id, read_ct, pg_catalog.to_char(enqueued_at at time zone 'UTC', \(utc)),
                    pg_catalog.to_char(vt at time zone 'UTC', \(utc)), message::pg_catalog.text,
                    headers::pg_catalog.text
                from pgmq.\(table) where $2::bigint is null or msg_id operator(pg_catalog.=) $2
                order by vt, msg_id limit $1
                """,
                [.int(Int64(limit)), id.map { .int($0) } ?? .null]
            )
        )
        return (0..<rows.count).map { row in
            StoredMessage(
                id: rows.int(row, 0),
                readCount: Int(rows.int(row, 1)),
                enqueuedAt: rows.text(row, 2) ?? "",
                visibleAt: rows.text(row, 3) ?? "",
                body: rows.text(row, 4),
                headers: rows.text(row, 5)
            )
        }
    }
}
