import Migrations
import Postgres

/// Our own schema in the database: what `pgmqd migrate` does. Idempotent, versioned, under an advisory lock.
public struct Schema: Sendable {
    let connection: Connection

    public init(_ connection: Connection) {
        self.connection = connection
    }

    private static let deadline: Duration = .seconds(60)
    /// Of the advisory lock under which migrations run: one at a time in a database.
    private static let lockKey = 0x70676d7164

    /// The whole of it as a script, for those who let nobody but themselves change a database. It can be repeated.
    public static func script() -> String {
        Migration.all.map { "-- migration \($0.version)\n\(guarded($0));\n" }.joined(separator: "\n")
    }

    /// One statement, which does nothing where the migration is applied, under a lock that ends with its transaction.
    ///
    /// The tables and functions that a migration makes have PostgreSQL's own types and defaults, whatever the path of
    /// the role that applies it has.
    private static func guarded(_ migration: Migration) -> String {
        """
        do $pgmqd$
        declare
            applied boolean := false;
            path constant pg_catalog.text := pg_catalog.current_setting('search_path');
        begin
            perform pg_catalog.pg_advisory_xact_lock(\(lockKey));
            perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
            if pg_catalog.to_regclass('pgmqd.migration') is not null then
                execute 'select exists (select from pgmqd.migration where version = \(migration.version))' into applied;
            end if;
            if not applied then
                execute $migration$
        \(migration.sql)
                $migration$;
                execute 'insert into pgmqd.migration (version) values (\(migration.version))';
            end if;
            perform pg_catalog.set_config('search_path', path, true);
        end
        $pgmqd$
        """
    }

    /// - Returns: the versions applied now, none where all had been.
    public func migrate() async throws(PostgresError) -> [Int] {
        try await exclusively { () async throws(PostgresError) in
            let applied = try await appliedVersions()
            let missing = Migration.all.filter { !applied.contains($0.version) }
            for migration in missing {
                _ = try await connection.run([Statement(Self.guarded(migration))], deadline: Self.deadline)
            }
            return missing.map(\.version)
        }
    }

    /// Runs the closure while nobody else in the database migrates, nor makes queues as part of it. May be nested.
    public func exclusively<R>(_ body: () async throws(PostgresError) -> R) async throws(PostgresError) -> R {
        _ = try await connection.run(
            [Statement("select pg_catalog.pg_advisory_lock(\(Self.lockKey))")],
            deadline: Self.deadline
        )
        let result: Result<R, PostgresError>
        do throws(PostgresError) {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        _ = try await connection.run(
            [Statement("select pg_catalog.pg_advisory_unlock(\(Self.lockKey))")],
            deadline: Self.deadline
        )
        return try result.get()
    }

    private func appliedVersions() async throws(PostgresError) -> Set<Int> {
        let exists = try await connection.run(
            [Statement("select pg_catalog.to_regclass('pgmqd.migration') is not null")],
            deadline: Self.deadline
        )[0].bool(0, 0)
        guard exists else { return [] }
        let rows = try await connection.run(
            [Statement("select version from pgmqd.migration")],
            deadline: Self.deadline
        )[0]
        return Set((0..<rows.count).map { Int(rows.int($0, 0)) })
    }

    // MARK: - Queues

    /// What became of a queue's doorbell.
    public enum Hanging: Sendable, Equatable {
        case hung
        /// It hung there already.
        case there
        /// One of an earlier version, or restored from another server, stays: the table is busy.
        case outdated
    }

    /// Hangs our doorbell on a queue's inserts, or hangs anew one of an earlier version or another server. Needs the
    /// right to hang triggers there.
    /// - Throws: where there is none yet, and the table is busy, too.
    public func hangDoorbell(on queue: QueueName) async throws(PostgresError) -> Hanging {
        let found = try await connection.run(
            [
                .catalogPath,
                Statement(
                    """
                    select \(Doorbell.asks("$2"))
                    from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'pgmq' and c.relname = $1 and t.tgname = 'pgmqd_doorbell'
                    """,
                    [.text(queue.table), .text(queue.folded)]
                ),
            ],
            deadline: Self.deadline
        )[1]
        if found.count > 0, found.bool(0, 0) { return .there }
        do throws(PostgresError) {
            // The lock it takes stands behind every sender: it gives way rather than make them wait.
            _ = try await connection.transaction(
                [Statement("select pgmqd.hang_doorbell($1)", [.text(queue.folded)])],
                limits: Limits(deadline: .seconds(10), lockTimeout: .seconds(2))
            )
            return .hung
        } catch {
            guard found.count > 0, error.sqlState?.code == "55P03" else { throw error }
            return .outdated
        }
    }

    /// - Returns: false where the queue was there already.
    public func create(_ queue: QueueName) async throws(PostgresError) -> Bool {
        if try await exists(queue) { return false }
        _ = try await connection.run(
            // PGMQ's functions qualify little of what they call.
            [.catalogPath, Statement("select pgmq.create($1)", [.text(queue.written)])],
            deadline: Self.deadline
        )
        return true
    }

    public func exists(_ queue: QueueName) async throws(PostgresError) -> Bool {
        try await connection.run(
            [
                .catalogPath,
                Statement(
                    "select pg_catalog.to_regclass('pgmq.' || pg_catalog.quote_ident($1)) is not null",
                    [.text(queue.table)]
                ),
            ],
            deadline: Self.deadline
        )[1].bool(0, 0)
    }

    /// What keeps a daemon from working the queue, each with what to do.
    public func problems(of queue: QueueName, deadLetter: QueueName) async throws(PostgresError) -> [String] {
        let shape = try await QueueShape.load(
            queue,
            deadLetter: deadLetter,
            on: connection,
            limits: Limits(deadline: Self.deadline)
        )
        guard let shape else { return [Problem.missing(queue: queue)] }
        return shape.problems(queue: queue, deadLetter: deadLetter)
    }

    /// How the session's role would work a partitioned queue, and why; nil for a queue of one table.
    public func wayOfWorking(_ queue: QueueName) async throws(PostgresError) -> String? {
        let shape = try await QueueShape.load(
            queue,
            deadLetter: nil,
            on: connection,
            limits: Limits(deadline: Self.deadline)
        )
        guard let shape, shape.isPartitioned else { return nil }
        let refused = shape.partitions.filter { !$0.isWorkable }
        guard let first = refused.first else {
            return
                "queue \"\(queue)\": its \(shape.partitions.count) partitions are worked one by one, on their own tables"
        }
        return """
            queue "\(queue)": \(refused.count) of \(shape.partitions.count) partitions are worked through the parent, which \
            is slower, because the role may not select, update and delete on \(first.table); `pgmqd grants` prints what \
            is missing
            """
    }

    /// The indexes that a partitioned queue needs and PGMQ does not make, as statements to be run by hand: on a large
    /// table they take time and locks, which is its owner's to choose.
    public func missingIndexes(of queue: QueueName) async throws(PostgresError) -> [String] {
        let shape = try await QueueShape.load(
            queue,
            deadLetter: nil,
            on: connection,
            limits: Limits(deadline: Self.deadline)
        )
        guard let shape else { return [] }
        var statements: [String] = []
        if !shape.hasPrimaryKey { statements.append("create index on \(shape.table) (msg_id);") }
        if !shape.hasTimeIndex { statements.append("create index on \(shape.table) (vt);") }
        return statements
    }
}
