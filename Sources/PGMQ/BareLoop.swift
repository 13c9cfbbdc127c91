import Engine
import Postgres

/// The daemon's claim and settlement in a loop on one connection: what the engine around them is measured against.
package struct BareLoop {
    private let connection: Connection
    private let queue: QueueName
    private let batch: Int

    package init(_ connection: Connection, _ queue: QueueName, batch: Int) {
        self.connection = connection
        self.queue = queue
        self.batch = batch
    }

    private static let limits = Limits(deadline: .seconds(30))

    private func statements() async throws(PostgresError) -> QueueStatements? {
        guard
            let shape = try await QueueShape.load(queue, deadLetter: nil, on: connection, limits: Self.limits)
        else { return nil }
        return QueueStatements(
            queue: queue,
            shape: shape,
            identity: DaemonIdentity(daemon: "bench", host: "bench", version: "0"),
            options: QueueOptions(
                visibilityTimeout: .seconds(60),
                maxMessageBytes: 1 << 20,
                archives: false,
                durable: true,
                deadLetter: queue
            ),
            partitions: Partitions()
        )
    }

    /// Claims without a floor, of which there is nothing to have.
    package func claimEmpty(times: Int) async throws(PostgresError) {
        guard let statements = try await statements() else { return }
        let claim = statements.claim(Claim(limit: batch, reach: .all, floor: nil))
        for _ in 0..<times { _ = try await connection.transaction([claim], limits: Self.limits) }
    }

    /// Claims what is there: the closure, called again and again, costs the claim alone.
    package func prepared() async throws(PostgresError) -> @Sendable () async throws(PostgresError) -> Int {
        guard let statements = try await statements() else { return { () async throws(PostgresError) in 0 } }
        let (connection, batch) = (connection, batch)
        return { () async throws(PostgresError) in
            let claim = statements.claim(Claim(limit: batch, reach: .all, floor: nil))
            return try await connection.transaction([claim], limits: Self.limits).rows[0].count
        }
    }

    package func run(until isReached: () -> Bool, _ settled: (Int) -> Void) async throws(PostgresError) {
        guard let statements = try await statements() else { return }
        let limits = Self.limits
        var held: [Settlement] = []
        var floor: Timestamp?
        while !isReached() {
            let claim = statements.claim(Claim(limit: batch, reach: .floor, floor: floor))
            let settle = (try? statements.settle(held))?.map(\.statement) ?? []
            let rows = try await connection.transaction(settle + [claim], limits: limits).rows
            settled(held.count)
            guard let claimed = rows.last, claimed.count > 0 else {
                if held.isEmpty { return }
                held = []
                continue
            }
            floor = (0..<claimed.count).map { ServerTime.timestamp(claimed.timestamp($0, 4)) }.max()
            held = (0..<claimed.count).map { row in
                let fence = Fence(
                    messageID: claimed.int(row, 0),
                    readCount: Int32(truncatingIfNeeded: claimed.int(row, 1)),
                    readAt: ServerTime.timestamp(claimed.timestamp(row, 3))
                )
                let delivery = Delivery(fence: fence, enqueuedAt: ServerTime.timestamp(claimed.timestamp(row, 2)))
                return Settlement(delivery: delivery, outcome: .done)
            }
        }
    }
}
