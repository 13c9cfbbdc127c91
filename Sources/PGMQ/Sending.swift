import Postgres

/// Sends to a queue: inserts what PGMQ's own `send_batch` inserts. That one calls functions without their schema, which
/// in a superuser's session may be a stranger's.
public struct Sending: Sendable {
    let connection: Connection

    public init(_ connection: Connection) {
        self.connection = connection
    }

    /// Sends JSON texts in one transaction.
    ///
    /// - Parameter headers: one for each body, or none at all.
    /// - Returns: the ids, in order.
    public func send(
        _ bodies: [[UInt8]],
        headers: [[UInt8]?] = [],
        to queue: QueueName,
        delay: Duration = .zero,
        deadline: Duration = .seconds(60)
    ) async throws(PostgresError) -> [Int64] {
        let seconds = Double(delay.components.seconds) + Double(delay.components.attoseconds) * 1e-18
        let table = try await connection.quote(identifier: queue.table)
        let statement = Statement(
            """
            insert into pgmq.\(table) (vt, message, headers)
            select (select pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => $3)),
                m.body, m.headers
            from unnest($1::pg_catalog.jsonb[], $2::pg_catalog.jsonb[]) with ordinality as m(body, headers, n)
            order by m.n returning msg_id
            """,
            [.jsons(bodies), .jsons(headers), .double(seconds)]
        )
        let rows = try await connection.run([statement], deadline: deadline)[0]
        return (0..<rows.count).map { rows.int($0, 0) }
    }
}
