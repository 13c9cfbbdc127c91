import PGMQ
import Postgres

/// Prepares a database for a configuration's queues: what `pgmqd migrate` and `pgmqd dev` do.
public struct Migration: Sendable {
    private let schema: Schema
    private let createsQueues: Bool

    public init(schema: Schema, createsQueues: Bool) {
        self.schema = schema
        self.createsQueues = createsQueues
    }

    /// - Returns: a line for each thing that was done, or is left to be done by hand.
    public func run(_ queues: [QueueConfiguration]) async throws(PostgresError) -> [String] {
        try await schema.exclusively { () async throws(PostgresError) in try await prepare(queues) }
    }

    private func prepare(_ queues: [QueueConfiguration]) async throws(PostgresError) -> [String] {
        var lines: [String] = []
        for version in try await schema.migrate() { lines.append("schema pgmqd: migration \(version) applied") }
        for queue in queues {
            let name = QueueName(queue.writtenName)
            if createsQueues {
                for each in [name, QueueName(queue.deadLetter)] where try await schema.create(each) {
                    lines.append("queue \(each) created")
                }
            }
            guard try await schema.exists(name) else {
                lines.append("queue \(name) does not exist yet; --create-queues creates it")
                continue
            }
            switch try await schema.hangDoorbell(on: name) {
            case .hung: lines.append("queue \(name): doorbell hung")
            case .there: break
            case .outdated:
                lines.append("queue \(name) is busy: its doorbell stays as it is; run migrate again")
            }
            for statement in try await schema.missingIndexes(of: name) {
                lines.append(
                    "queue \(name) needs an index, which takes time and locks on a large table; make it by hand:"
                )
                lines.append(statement)
            }
        }
        return lines
    }
}
