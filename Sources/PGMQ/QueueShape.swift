import Postgres

/// What the server's catalog says of one queue. Read when a connection is new, and again after errors that say that
/// something has changed.
struct QueueShape: Sendable {
    /// Quoted, with the schema.
    let table: String
    let archive: String
    let deadLetterTable: String?
    /// PGMQ 1.10 and later. Without it the fence takes `enqueued_at`.
    let hasLastReadAt: Bool
    let isPartitioned: Bool
    /// The tables that hold the rows of a partitioned queue.
    let partitions: [Partition]
    let isUnlogged: Bool
    let hasPrimaryKey: Bool
    let hasTimeIndex: Bool
    let archiveHasLastReadAt: Bool
    let hasJournal: Bool
    /// Ours stands, and rings for who sleeps.
    let hasDoorbell: Bool
    /// PGMQ's own trigger stands, and can be heard.
    let hasNotify: Bool
    /// Somebody wakes who sleeps.
    var canRing: Bool { hasDoorbell || hasNotify }
    /// Rights and policies that the session's role lacks, each with what to do.
    let missingAccess: [String]
    /// PGMQ's trigger stands, and writes to its throttle table with the rights of who sends, heard or not.
    let throttlesSenders: Bool

    static func load(
        _ queue: QueueName,
        deadLetter: QueueName?,
        on connection: Connection,
        limits: Limits
    ) async throws(PostgresError) -> QueueShape? {
        let statement = Statement(
            """
            select
                exists(select from pg_catalog.pg_attribute
                    where attrelid = c.oid and attname = 'last_read_at' and not attisdropped),
                c.relkind = 'p',
                c.relpersistence = 'u',
                exists(select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisvalid
                    and (select attname from pg_catalog.pg_attribute where attrelid = c.oid and attnum = i.indkey[0]) = 'msg_id'),
                exists(select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisvalid
                    and (select attname from pg_catalog.pg_attribute where attrelid = c.oid and attnum = i.indkey[0]) = 'vt'),
                exists(select from pg_catalog.pg_attribute a join pg_catalog.pg_class k on a.attrelid = k.oid
                    where k.relnamespace = c.relnamespace and k.relname = $2 and a.attname = 'last_read_at'),
                pg_catalog.to_regclass('pgmqd.journal') is not null and pg_catalog.to_regproc('pgmqd.deliver') is not null,
                \(Doorbell.rings(on: "c.oid", queue: "$4")),
                exists(select from pg_catalog.pg_trigger t where t.tgrelid = c.oid
                    and t.tgname = 'trigger_notify_queue_insert_listeners' and t.tgenabled in ('O', 'A')),
                exists(select from pg_catalog.pg_class k where k.relnamespace = c.relnamespace and k.relname = $3),
                pg_catalog.to_regclass('pgmq.notify_insert_throttle') is not null
            from pg_catalog.pg_class c join pg_catalog.pg_namespace s on s.oid = c.relnamespace
            where s.nspname = 'pgmq' and c.relname = $1 and c.relkind in ('r', 'p')
            """,
            [.text(queue.table), .text(queue.archive), .text(deadLetter?.table ?? ""), .text(queue.folded)]
        )
        let rows = try await connection.transaction([.catalogPath, statement], limits: limits).rows[1]
        guard rows.count == 1 else { return nil }
        let hasNotify: Bool
        let isTriggered = rows.bool(0, 8)
        // On a partitioned table it is each partition's, and takes that one's name for the queue's: nobody hears it.
        if isTriggered, !rows.bool(0, 1) {
            hasNotify = try await sounds(queue, on: connection, limits: limits)
        } else {
            hasNotify = false
        }
        let table = try await connection.quote(identifier: queue.table)
        let archive = try await connection.quote(identifier: queue.archive)
        let deadLetterTable: String?
        if let deadLetter, rows.bool(0, 9) {
            deadLetterTable = "pgmq." + (try await connection.quote(identifier: deadLetter.table))
        } else {
            deadLetterTable = nil
        }
        return QueueShape(
            table: "pgmq." + table,
            archive: "pgmq." + archive,
            deadLetterTable: deadLetterTable,
            hasLastReadAt: rows.bool(0, 0),
            isPartitioned: rows.bool(0, 1),
            partitions: rows.bool(0, 1)
                ? try await Partition.load(queue, on: connection, limits: limits) : [],
            isUnlogged: rows.bool(0, 2),
            hasPrimaryKey: rows.bool(0, 3),
            hasTimeIndex: rows.bool(0, 4),
            archiveHasLastReadAt: rows.bool(0, 5),
            hasJournal: rows.bool(0, 6),
            hasDoorbell: rows.bool(0, 7),
            hasNotify: hasNotify,
            missingAccess: try await Access.missing(queue, deadLetter: deadLetter, on: connection, limits: limits),
            throttlesSenders: isTriggered && rows.bool(0, 10)
        )
    }

    /// Whether PGMQ's own trigger can be heard. Its throttle table is unlogged: a crash of the server empties it, and the
    /// trigger is silent from then on. So is that of a queue whose name was written with capitals: it looks in the throttle
    /// table for the name of its table, which has none. Who may not look must take it for silent.
    private static func sounds(
        _ queue: QueueName,
        on connection: Connection,
        limits: Limits
    ) async throws(PostgresError) -> Bool {
        let table = try await connection.transaction(
            [
                .catalogPath,
                Statement(
                    """
                    select c.oid is null, coalesce(pg_catalog.has_table_privilege(c.oid, 'select'), false)
                    from (select pg_catalog.to_regclass('pgmq.notify_insert_throttle') as oid) c
                    """
                ),
            ],
            limits: limits
        ).rows[1]
        if table.bool(0, 0) { return true }
        guard table.bool(0, 1) else { return false }
        let row = Statement(
            "select exists (select from pgmq.notify_insert_throttle where queue_name = $1)",
            [.text(queue.folded)]
        )
        return try await connection.transaction([.catalogPath, row], limits: limits).rows[1].bool(0, 0)
    }
}
