import Engine
import Glibc
import QueueModel
import Synchronization

/// The model of a queue as a port: a consumer whole, without a server.
final class MemoryQueue: Queue {
    struct Shared: Sendable {
        var model: QueueModel
        var removed = 0
    }

    /// What several daemons share.
    final class Store: Sendable {
        let state: Mutex<Shared>
        /// One for each lease that was extended.
        let renewals = AsyncStream.makeStream(of: Void.self)

        init(_ settings: QueueModel.Settings) {
            state = Mutex(Shared(model: QueueModel(settings)))
        }

        func send(_ count: Int) {
            let bodies = Array(repeating: Array("{}".utf8), count: count)
            state.withLock { state in
                _ = state.model.perform(.send(bodies: bodies, delay: .zero), now: MemoryQueue.clock)
            }
        }

        var left: Int { state.withLock { $0.model.rows.count } }

        /// Visible to anybody now.
        var visible: Int {
            let now = MemoryQueue.clock
            return state.withLock { $0.model.rows.count { row in row.committed.map { $0.vt <= now } ?? false } }
        }
    }

    private let store: Store
    private let daemon: Int

    init(_ store: Store, daemon: Int) {
        self.store = store
        self.daemon = daemon
    }

    static var clock: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    private func ask(_ operation: Operation) async -> Answer {
        // Elsewhere, and a moment later, as a server is.
        await Task.yield()
        return store.state.withLock { $0.model.perform(operation, now: Self.clock).answer }
    }

    func exchange(_ exchange: Exchange) async throws(QueueFailure) -> ExchangeResult {
        let sent = Instant.now
        let clock = Self.clock
        guard case .exchanged(let changes) = await ask(.exchange(exchange, daemon: daemon)) else {
            throw .busy("locked", smaller: false)
        }
        return changes.result(clock: clock, sent: sent)
    }

    func read(_ fence: Fence) async throws(QueueFailure) -> Content? {
        await Task.yield()
        return store.state.withLock { $0.model.body(fence) }.map { Content(body: $0, headers: nil) }
    }

    func renew(_ renewal: RenewalOrder) async throws(QueueFailure) -> Renewals {
        let sent = Instant.now
        guard case .renewed(let results) = await ask(.renew(renewal.fences, notAfter: renewal.notAfter)) else {
            throw .busy("locked", smaller: false)
        }
        for result in results where result == .renewed { store.renewals.continuation.yield() }
        return Renewals(results: results, sent: sent)
    }

    func closePhantoms(holding: [Delivery]) async throws(QueueFailure) {
        _ = await ask(.closePhantoms(daemon: daemon, holding: holding))
    }

    func probe(besides: Bool, passingOver: [Int64]) async throws(QueueFailure) -> Probe {
        guard case .probed(let probe) = await ask(.probe(passingOver: passingOver)) else { throw .cancelled }
        return probe
    }

    func watch(passingOver: [Int64]) async throws(QueueFailure) -> Watched { .nothing }

    func list(_ claim: Claim) async throws(QueueFailure) -> [Candidate] {
        guard case .listed(let candidates) = await ask(.list(claim)) else { throw .cancelled }
        return candidates
    }

    func fallAsleep() async throws(QueueFailure) -> Bool { false }

    func wakeUp() async throws(QueueFailure) {}
}
