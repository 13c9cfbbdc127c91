import Postgres

/// What the session's role may do with a queue's tables. With row-level security on and no policy for a command, the
/// server raises no error: the command finds no row, so the queue looks empty or a settlement looks refused.
enum Access {
    /// - Returns: a line for each table with what is missing; none where all is there.
    static func missing(
        _ queue: QueueName,
        deadLetter: QueueName?,
        on connection: Connection,
        limits: Limits
    ) async throws(PostgresError) -> [String] {
        let statement = Statement(
            """
            select n.schema || '.' || n.relation, n.command, n.has_right, n.has_policy, current_user::pg_catalog.text
            from (
                select x.schema, x.relation, x.command, x.place,
                    case x.command
                        when 'SELECT' then pg_catalog.has_table_privilege(c.oid, 'SELECT')
                        when 'DELETE' then pg_catalog.has_table_privilege(c.oid, 'DELETE')
                        when 'UPDATE' then pg_catalog.has_any_column_privilege(c.oid, 'UPDATE')
                        else pg_catalog.has_any_column_privilege(c.oid, 'INSERT')
                    end as has_right,
                    not pg_catalog.row_security_active(c.oid) or exists (
                        select from pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) as r(oid)
                        where p.polrelid = c.oid and p.polpermissive
                            and p.polcmd in ('*', case x.command when 'SELECT' then 'r' when 'DELETE' then 'd'
                                when 'UPDATE' then 'w' else 'a' end::"char")
                            and case when r.oid = 0::pg_catalog.oid then true
                                else pg_catalog.pg_has_role(r.oid, 'MEMBER') end
                    ) as has_policy
                from (values
                    (1, 'pgmq'::pg_catalog.text, $1::pg_catalog.text, 'SELECT'::pg_catalog.text),
                    (2, 'pgmq', $1, 'UPDATE'), (3, 'pgmq', $1, 'DELETE'), (4, 'pgmq', $2, 'INSERT'),
                    (5, 'pgmqd', 'journal', 'SELECT'), (6, 'pgmqd', 'journal', 'INSERT'),
                    (7, 'pgmqd', 'journal', 'UPDATE'), (8, 'pgmqd', 'journal', 'DELETE')
                ) as x(place, schema, relation, command)
                join pg_catalog.pg_namespace s on s.nspname = x.schema
                join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = x.relation
            ) n
            where not (n.has_right and n.has_policy) order by n.place
            """,
            [.text(queue.table), .text(deadLetter?.table ?? "")]
        )
        let rows = try await connection.transaction([.catalogPath, statement], limits: limits).rows[1]
        return (0..<rows.count).map { row in
            let (table, command) = (rows.text(row, 0) ?? "", rows.text(row, 1) ?? "")
            let role = rows.text(row, 4) ?? ""
            if !rows.bool(row, 2) {
                let name = table.split(separator: ".", maxSplits: 1).last ?? ""
                return "permission denied for table \(name): role \"\(role)\" may not \(command); "
                    + "`pgmqd grants` prints what is missing"
            }
            return "row-level security on \(table) hides its rows: no policy lets role \"\(role)\" \(command); "
                + "create one (for \(command.lowercased())), or let the role bypass it"
        }
    }
}
