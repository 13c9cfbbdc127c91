import Engine
import Foundation
import Logging
import PGMQ
import TestSupport

/// A daemon's side of one queue without the daemon: what it asks for is asked by the test.
final class Port: Sendable {
    let queue: PGMQQueue
    private let running: Task<Void, Never>

    init(
        _ database: TestDatabase,
        url: String? = nil,
        queue name: String,
        visibilityTimeout: Duration = .seconds(600),
        archives: Bool = false
    ) {
        let connections = PGMQ.Database(
            settings: .init(url: url ?? database.url, callDeadline: .seconds(10)),
            identity: DaemonIdentity(daemon: UUID().uuidString, host: "test", version: "test"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let options = QueueOptions(
            visibilityTimeout: visibilityTimeout,
            maxMessageBytes: 1 << 20,
            archives: archives,
            durable: true,
            deadLetter: QueueName(QueueName.deadLetter(of: name))
        )
        queue = PGMQQueue(name: QueueName(name), options: options, database: connections)
        running = Task { await connections.run() }
    }

    deinit {
        running.cancel()
    }

    func claim(_ limit: Int = 10) async throws -> [Lease] {
        try await patiently { () async throws(QueueFailure) in
            try await self.queue.exchange(Exchange(claim: Claim(limit: limit, reach: .all, floor: nil))).claimed
        }
    }

    /// - Parameter atPlace: the rows are looked for where the claim put them, and not by their ids.
    /// - Returns: the ids for which the fence held.
    func settle(_ leases: [Lease], _ outcome: Outcome, atPlace: Bool = false) async throws -> Set<Int64> {
        let settlements = leases.map {
            Settlement(delivery: $0.delivery, outcome: outcome, place: atPlace ? $0.place : nil)
        }
        let refused = try await patiently { () async throws(QueueFailure) in
            try await self.queue.exchange(Exchange(settlements: settlements)).refused
        }
        return Set(leases.map(\.fence).filter { !refused.contains($0) }.map(\.messageID))
    }

    func renew(_ leases: [Lease]) async throws -> [Renewal] {
        try await patiently { () async throws(QueueFailure) in
            try await self.queue.renew(RenewalOrder(fences: leases.map(\.fence))).results
        }
    }

    /// The connections may be those of a server that has gone.
    private func patiently<R: Sendable>(_ body: () async throws(QueueFailure) -> R) async throws -> R {
        var answer: R?
        try await eventually("the database answers") {
            do throws(QueueFailure) {
                answer = try await body()
                return true
            } catch .unavailable {
                return false
            } catch .overdue {
                return false
            }
        }
        guard let answer else { throw NeverHappened(description: "no answer") }
        return answer
    }
}
