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

    /// A row that no claim can take, as the daemons that pass it over have noted it in the journal.
    public struct UnclaimableRow: Sendable, Codable {
        public let id: Int64
        public let reason: String
    }

    /// What is counted is nil where the queue could not be read.
    public struct QueueSummary: Sendable, Codable {
        public let queue: String
        public let isPartitioned: Bool
        public let isUnlogged: Bool
        public var visible: Int?
        /// Claimed or delayed: they become visible when their `vt` passes.
        public var invisible: Int?
        /// The invisible ones that somebody has claimed; nil before PGMQ 1.10.
        public var leased: Int?
        /// The other invisible ones, which are delayed; nil before PGMQ 1.10.
        public var waiting: Int?
        /// Seconds since the oldest claimable message became so; nil where there is none. Unclaimable rows are left out.
        public var oldestClaimableSeconds: Double?
        public var total: Int?
        /// Visible rows that no claim can take; nil where the journal is missing or may not be read.
        public var unclaimable: Int?
        /// The first of them; nil where there is none.
        public var unclaimableRows: [UnclaimableRow]?
        public var doorbell: Bool?
        /// Why the queue could not be read.
        public var error: String?
    }

    static let mostRowsNamed = 3

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
        let features = try await features(of: name)
        let rows = features.readsJournal ? try await unclaimable(in: table, of: name) : nil
        let isVisible = "vt operator(pg_catalog.<=) pg_catalog.clock_timestamp()"
        let isLeased = features.hasLastReadAt ? "last_read_at is not null" : "false"
        let count = Statement(
            """
            select pg_catalog.count(*) filter (where \(isVisible)), pg_catalog.count(*),
                extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.min(vt)
                    filter (where \(isVisible) and msg_id operator(pg_catalog.<>) all($1)))::double precision,
                pg_catalog.count(*) filter (where not \(isVisible) and \(isLeased))
            from pgmq.\(table)
            """,
            [.ints(rows?.map(\.id) ?? [])]
        )
        let rings = Doorbell.rings(
            on: "('pgmq.' || pg_catalog.quote_ident($1))::pg_catalog.regclass",
            queue: "$2"
        )
        let doorbell = Statement("select \(rings)", [.text(name.table), .text(name.folded)])
        let replies = try await connection.run([Self.bounds, count, .catalogPath, doorbell], deadline: Self.deadline)
        let counts = replies[1]
        let (visible, total, leased) = (Int(counts.int(0, 0)), Int(counts.int(0, 1)), Int(counts.int(0, 3)))
        summary.visible = visible
        summary.invisible = total - visible
        if features.hasLastReadAt {
            summary.leased = leased
            summary.waiting = total - visible - leased
        }
        summary.oldestClaimableSeconds = counts.isNull(0, 2) ? nil : counts.double(0, 2)
        summary.total = total
        summary.unclaimable = rows?.count
        if let rows, !rows.isEmpty { summary.unclaimableRows = Array(rows.prefix(Self.mostRowsNamed)) }
        summary.doorbell = replies[3].bool(0, 0)
    }

    /// What the database has for this queue, and this role may read.
    struct Features {
        let hasLastReadAt: Bool
        let readsJournal: Bool
    }

    func features(of queue: QueueName) async throws(PostgresError) -> Features {
        let statement = Statement(
            """
            select
                exists(select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'pgmq' and c.relname = $1 and a.attname = 'last_read_at' and not a.attisdropped),
                exists(select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'pgmqd' and c.relname = 'journal'
                    and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                    and pg_catalog.has_table_privilege(c.oid, 'SELECT'))
            """,
            [.text(queue.table)]
        )
        let rows = try await connection.run([Self.bounds, .catalogPath, statement], deadline: Self.deadline)[2]
        return Features(hasLastReadAt: rows.bool(0, 0), readsJournal: rows.bool(0, 1))
    }

    /// A journal row that names a row of the queue `q` unclaimable. A row that is invisible is leased, so a claim took it.
    static func isMark(_ queue: String) -> String {
        """
        j.queue operator(pg_catalog.=) \(queue) and j.msg_id operator(pg_catalog.=) q.msg_id
            and j.enqueued_at operator(pg_catalog.=) q.enqueued_at and j.read_ct operator(pg_catalog.=) -1
            and j.outcome operator(pg_catalog.=) 'unclaimable'
            and q.vt operator(pg_catalog.<=) pg_catalog.clock_timestamp()
        """
    }

    private func unclaimable(
        in table: String,
        of queue: QueueName
    ) async throws(PostgresError) -> [UnclaimableRow] {
        let rows = try await bounded(
            Statement(
                """
                select q.msg_id, j.reason from pgmqd.journal j join pgmq.\(table) q on \(Self.isMark("$1"))
                order by q.msg_id
                """,
                [.text(queue.folded)]
            )
        )
        return (0..<rows.count).map { UnclaimableRow(id: rows.int($0, 0), reason: rows.text($0, 1) ?? "") }
    }

    func bounded(_ statement: Statement) async throws(PostgresError) -> Rows {
        try await connection.run([Self.bounds, statement], deadline: Self.deadline)[1]
    }

    private static func words(for error: PostgresError) -> String {
        switch error.sqlState?.code {
        case "55P03": "locked by another session: \(error)"
        case "57014": "not counted in time: \(error)"
        default: "\(error)"
        }
    }
}
