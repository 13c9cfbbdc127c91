import Engine
import Postgres

/// The rights that a daemon's role needs, and no more: it cannot change a message, read the archive, send to its
/// work queues, or create, drop and purge.
public struct Grants: Sendable {
    let connection: Connection
    let role: String

    public init(_ connection: Connection, role: String) {
        self.connection = connection
        self.role = role
    }

    public static func common(role: String) -> [String] {
        [
            "grant usage on schema pgmq, pgmqd to \(role);",
            "grant select, insert, update, delete on pgmqd.journal to \(role);",
        ]
    }

    /// The rights of a role that looks at all queues of the database, and changes nothing. Not at the archives: no
    /// command of ours reads them.
    public func operatorStatements() async throws(PostgresError) -> [String] {
        let role = try await connection.quote(identifier: role)
        let names = try await connection.run(
            [Statement("select queue_name::pg_catalog.text from pgmq.meta order by 1")],
            deadline: .seconds(10)
        )[0]
        var statements = [
            "grant usage on schema pgmq, pgmqd to \(role);",
            "grant select on pgmq.meta, pgmqd.journal to \(role);",
        ]
        for row in 0..<names.count {
            let table = try await connection.quote(identifier: QueueName(names.text(row, 0) ?? "").table)
            statements.append("grant select on pgmq.\(table) to \(role);")
        }
        return statements
    }

    /// - Returns: the statements, with the names quoted by libpq.
    public func statements(for queues: [(name: QueueName, options: QueueOptions)]) async throws(PostgresError)
        -> [String]
    {
        let role = try await connection.quote(identifier: role)
        var statements = Self.common(role: role)
        for (name, options) in queues {
            let shape = try await QueueShape.load(
                name,
                deadLetter: options.deadLetter,
                on: connection,
                limits: Limits(deadline: .seconds(10))
            )
            guard let shape else {
                statements.append("-- \(Problem.missing(queue: name))")
                continue
            }
            let lastRead = shape.hasLastReadAt ? ", last_read_at" : ""
            let rights = "select, delete, update (vt, read_ct\(lastRead))"
            statements.append("grant \(rights) on \(shape.table) to \(role);")
            // On the partitions themselves work is several times quicker than through their parent.
            for partition in shape.partitions { statements.append("grant \(rights) on \(partition.table) to \(role);") }
            if shape.isPartitioned { statements += try await inheritance(name) }
            if options.archives {
                let kept = shape.hasLastReadAt && shape.archiveHasLastReadAt ? ", last_read_at" : ""
                statements.append(
                    "grant insert (msg_id, read_ct, enqueued_at\(kept), vt, message, headers) on \(shape.archive) to \(role);"
                )
            }
            if let target = shape.deadLetterTable {
                statements.append("grant insert (vt, message, headers) on \(target) to \(role);")
                let letters = try await QueueShape.load(
                    options.deadLetter,
                    deadLetter: nil,
                    on: connection,
                    limits: Limits(deadline: .seconds(10))
                )
                if letters?.throttlesSenders == true {
                    // PGMQ's own trigger writes there with the rights of who sends.
                    statements.append(
                        "grant select, update (last_notified_at) on pgmq.notify_insert_throttle to \(role);"
                    )
                }
            } else {
                statements.append("-- \(Problem.missing(deadLetter: options.deadLetter))")
            }
        }
        return statements
    }

    /// pg_partman hands the parent's rights on to new partitions; from version 5 on only where it is told to.
    private func inheritance(_ queue: QueueName) async throws(PostgresError) -> [String] {
        let found = try await connection.transaction(
            [
                .catalogPath,
                Statement(
                    """
                    select n.nspname::pg_catalog.text from pg_catalog.pg_extension e
                    join pg_catalog.pg_namespace n on n.oid = e.extnamespace
                    where e.extname = 'pg_partman' and pg_catalog.split_part(e.extversion, '.', 1)::int >= 5
                    """
                ),
            ],
            limits: Limits(deadline: .seconds(10))
        ).rows[1]
        guard found.count == 1, let name = found.text(0, 0) else { return [] }
        let schema = try await connection.quote(identifier: name)
        let parent = try await connection.quote(literal: "pgmq." + queue.table)
        return ["update \(schema).part_config set inherit_privileges = true where parent_table = \(parent);"]
    }
}
