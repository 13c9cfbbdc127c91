import Postgres

/// Sends to a queue through PGMQ's own functions, as every other client does.
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
        let when = "clock_timestamp() + make_interval(secs => $3)"
        let statement: Statement
        if headers.contains(where: { $0 != nil }) {
            statement = Statement(
                "select * from pgmq.send_batch($1, $2::jsonb[], $4::jsonb[], \(when))",
                [.text(queue.written), .jsons(bodies), .double(seconds), .jsons(headers)]
            )
        } else {
            statement = Statement(
                "select * from pgmq.send_batch($1, $2::jsonb[], \(when))",
                [.text(queue.written), .jsons(bodies), .double(seconds)]
            )
        }
        let rows = try await connection.run([statement], deadline: deadline)[0]
        return (0..<rows.count).map { rows.int($0, 0) }
    }
}
