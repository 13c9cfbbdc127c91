import Engine
import Handlers
import Logging
import PGMQ
import Postgres
import Synchronization

/// Who works through the scratch queue, and how fast.
public enum Contender: Sendable, Equatable {
    /// The daemon itself: workers, leases, renewal, journal. `batch` nil: as shipped.
    case daemon(batch: Int?)
    /// `pgmq.read` and `pgmq.delete`, which is what a client written in an hour does.
    case plain(batch: Int)
    /// The daemon's two statements in a loop, with nothing around them: what there is to reach.
    case bare(batch: Int)

    /// Works until this many messages are done.
    ///
    /// - Parameter skip: of the daemon's, how many are done before the clock starts.
    public func drain(_ queue: ScratchQueue, messages: Int, connections: Int = 2, skip: Int = 0) async throws
        -> DrainMeasurement
    {
        switch self {
        case .daemon(let batch):
            try await DaemonDrain(queue: queue, batch: batch, connections: connections, skip: skip)
                .run(messages: messages)
        case .plain(let batch):
            try await loops(connections, queue, messages) { connection, taken async throws(PostgresError) in
                try await Self.plain(connection, queue.name, batch, taken)
            }
        case .bare(let batch):
            try await loops(connections, queue, messages) { connection, taken async throws(PostgresError) in
                try await BareLoop(connection, queue.name, batch: batch).run(until: { taken.isReached }, taken.add)
            }
        }
    }

    /// Runs a loop on each connection until together they have done enough.
    private func loops(
        _ connections: Int,
        _ queue: ScratchQueue,
        _ messages: Int,
        _ loop: @escaping @Sendable (Connection, Tally) async throws(PostgresError) -> Void
    ) async throws -> DrainMeasurement {
        var open: [Connection] = []
        for _ in 0..<connections {
            open.append(try await Connection.open(url: queue.url, application: "pgmqd bench", deadline: .seconds(10)))
        }
        let tally = Tally(goal: messages)
        let (began, processor) = (Instant.now, DrainMeasurement.processorTime)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in open { group.addTask { try await loop(connection, tally) } }
            try await group.waitForAll()
        }
        let elapsed = (Instant.now - began).inSeconds
        for connection in open { await connection.close() }
        let done = tally.done
        return DrainMeasurement(
            messages: done,
            seconds: elapsed,
            microsecondsOfOurs: (DrainMeasurement.processorTime - processor) / Double(max(1, done)) * 1e6
        )
    }

    /// How long claims take that find nothing.
    public static func emptyClaims(_ queue: ScratchQueue, times: Int) async throws(PostgresError) -> DrainMeasurement {
        try await queue.connected { connection async throws(PostgresError) in
            let loop = BareLoop(connection, queue.name, batch: 100)
            let (began, processor) = (Instant.now, DrainMeasurement.processorTime)
            try await loop.claimEmpty(times: times)
            return DrainMeasurement(
                messages: times,
                seconds: (Instant.now - began).inSeconds,
                microsecondsOfOurs: (DrainMeasurement.processorTime - processor) / Double(times) * 1e6
            )
        }
    }

    private static func plain(
        _ connection: Connection,
        _ queue: QueueName,
        _ batch: Int,
        _ tally: Tally
    ) async throws(PostgresError) {
        while !tally.isReached {
            let read = Statement(
                "select msg_id, message::pg_catalog.text from pgmq.read($1, 30, $2::bigint::int)",
                [.text(queue.written), .int(Int64(batch))]
            )
            let rows = try await connection.run([read], deadline: .seconds(60))[0]
            guard rows.count > 0 else { return }
            let ids = (0..<rows.count).map { rows.int($0, 0) }
            let delete = Statement("select pgmq.delete($1, $2::bigint[])", [.text(queue.written), .ints(ids)])
            _ = try await connection.run([delete], deadline: .seconds(60))
            tally.add(ids.count)
        }
    }
}

/// What several loops have done together.
final class Tally: Sendable {
    private let goal: Int
    private let count = Atomic(0)

    init(goal: Int) {
        self.goal = goal
    }

    var done: Int { count.load(ordering: .relaxed) }
    var isReached: Bool { done >= goal }

    func add(_ more: Int) {
        count.add(more, ordering: .relaxed)
    }
}
