import Foundation
import PGMQ
import Postgres

/// A queue that a measurement makes, fills and drops. No other is ever touched.
public struct ScratchQueue: Sendable {
    public let name: QueueName
    let url: String

    private static let prefix = "pgmqd_bench_"
    private static let deadline: Duration = .seconds(600)

    /// Under a new name; nothing is made yet.
    public static func new(url: String) -> ScratchQueue {
        ScratchQueue(name: QueueName(prefix + String(UInt32.random(in: .min ... .max), radix: 36)), url: url)
    }

    /// Makes our schema where it is missing. It is not the measurement's, and stays.
    public func makeSchema() async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in _ = try await Schema(connection).migrate() }
    }

    /// Makes the queue, with a dead-letter queue.
    public func make() async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in
            let schema = Schema(connection)
            _ = try await schema.create(name)
            _ = try await schema.create(deadLetter)
            _ = try await schema.hangDoorbell(on: name)
        }
    }

    /// One that an earlier ``make()`` made: anything else is refused.
    public static func existing(_ name: String, url: String) -> ScratchQueue? {
        name.hasPrefix(prefix) ? ScratchQueue(name: QueueName(name), url: url) : nil
    }

    var deadLetter: QueueName { QueueName(QueueName.deadLetter(of: name.folded)) }

    /// Drops as much of it as was made.
    public func drop() async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in
            for queue in [name, deadLetter] where try await Schema(connection).exists(queue) {
                _ = try await connection.run(
                    [.catalogPath, Statement("select pgmq.drop_queue($1)", [.text(queue.written)])],
                    deadline: Self.deadline
                )
            }
        }
    }

    /// What ``drop()`` does, for who has to do it by hand.
    public var dropStatement: String {
        "select pgmq.drop_queue('\(name)'), pgmq.drop_queue('\(deadLetter)');"
    }

    /// Empties it and puts this many small messages in, each visible since a moment of its own.
    public func fill(_ count: Int) async throws(PostgresError) {
        try await connected { connection async throws(PostgresError) in
            let table = "pgmq." + (try await connection.quote(identifier: name.table))
            let insert = Statement(
                """
                insert into \(table) (vt, message)
                select pg_catalog.clock_timestamp(), pg_catalog.jsonb_build_object('n', n)
                from pg_catalog.generate_series(1, $1) n
                """,
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
