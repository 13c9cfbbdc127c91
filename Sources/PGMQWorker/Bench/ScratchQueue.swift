import Foundation
import PGMQ
import Postgres

/// A queue that a measurement makes, fills and drops. No other is ever touched.
public struct ScratchQueue: Sendable {
    public let name: QueueName
    let url: String

    private static let prefix = "pgmqd_bench_"
    private static let deadline: Duration = .seconds(600)

    /// Makes a queue under a new name, with our schema and a dead-letter queue.
    public static func make(url: String) async throws(PostgresError) -> ScratchQueue {
        let name = QueueName(prefix + String(UInt32.random(in: .min ... .max), radix: 36))
        let scratch = ScratchQueue(name: name, url: url)
        try await scratch.connected { connection async throws(PostgresError) in
            let schema = Schema(connection)
            _ = try await schema.migrate()
            _ = try await schema.create(name)
            _ = try await schema.create(scratch.deadLetter)
            _ = try await schema.hangDoorbell(on: name)
        }
        return scratch
    }

    /// One that an earlier ``make(url:)`` made: anything else is refused.
    public static func existing(_ name: String, url: String) -> ScratchQueue? {
        name.hasPrefix(prefix) ? ScratchQueue(name: QueueName(name), url: url) : nil
    }

    var deadLetter: QueueName { QueueName(QueueName.deadLetter(of: name.folded)) }

    public func drop() async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in
            for queue in [name, deadLetter] {
                _ = try await connection.run(
                    [Statement("select pgmq.drop_queue($1)", [.text(queue.written)])],
                    deadline: Self.deadline
                )
            }
        }
    }

    /// Empties it and puts this many small messages in, each visible since a moment of its own.
    public func fill(_ count: Int) async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in
            let table = "pgmq." + (try await connection.quote(identifier: name.table))
            let insert = Statement(
                "insert into \(table) (vt, message) select clock_timestamp(), jsonb_build_object('n', n) from generate_series(1, $1) n",
                [.int(Int64(count))]
            )
            _ = try await connection.run([Statement("truncate \(table)")], deadline: Self.deadline)
            _ = try await connection.run([insert], deadline: Self.deadline)
            _ = try await connection.run([Statement("vacuum analyze \(table)")], deadline: Self.deadline)
            // Only a superuser may; without it one side may find the other's checkpoint running.
            _ = try? await connection.run([Statement("checkpoint")], deadline: Self.deadline)
        }
    }

    func connected<R: Sendable>(
        _ body: (Connection) async throws(PostgresError) -> R
    ) async throws(PostgresError) -> R {
        let connection = try await Connection.open(url: url, application: "pgmqd bench", deadline: .seconds(10))
        do throws(PostgresError) {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }
}
