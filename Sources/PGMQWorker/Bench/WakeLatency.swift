import Engine
import PGMQ
import Postgres
import Synchronization

/// How long a message sent to an idle queue takes to be begun, from before its send: the daemon, and the bare
/// statements on libpq (LISTEN, then claim).
public struct WakeLatency: Sendable {
    let queue: ScratchQueue
    let sends: Int
    let pause: Duration

    public init(queue: ScratchQueue, sends: Int, pause: Duration = .milliseconds(150)) {
        self.queue = queue
        self.sends = sends
        self.pause = pause
    }

    public struct Result: Sendable, Codable {
        public let sends: Int
        public let p50Milliseconds: Double
        public let p99Milliseconds: Double

        init(_ latencies: [Duration]) {
            let sorted = latencies.sorted()
            sends = sorted.count
            p50Milliseconds = sorted.isEmpty ? 0 : sorted[sorted.count / 2].inSeconds * 1000
            p99Milliseconds =
                sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * 99 / 100)].inSeconds * 1000
        }
    }

    public func daemon() async throws -> Result {
        let stopwatch = Stopwatch()
        let (database, consumer) = DaemonDrain(queue: queue, batch: nil, connections: 2).assemble(stopwatch)
        let serving = Task { await database.run() }
        let consuming = Task { await consumer.run() }
        _ = await database.availability.firstAnswer()
        while !consumer.snapshot().isAsleep { try await Task.sleep(for: .milliseconds(10)) }
        let latencies = try await send { await stopwatch.begun() }
        consumer.stop(grace: .zero)
        await consuming.value
        serving.cancel()
        await serving.value
        return Result(latencies)
    }

    /// Whoever sends rings at every message here: the loop's lock is held all the time.
    public func bare() async throws -> Result {
        let stopwatch = Stopwatch()
        let (notes, continuation) = AsyncStream.makeStream(of: Void.self)
        let listener = try await Connection.open(url: queue.url, deadline: .seconds(10)) { _ in continuation.yield() }
        let channel = try await listener.quote(identifier: "pgmqd.\(queue.name)")
        _ = try await listener.run(
            [
                Statement("listen \(channel)"),
                Statement(
                    """
                    select pg_catalog.pg_advisory_lock_shared(
                        pg_catalog.hashtextextended('pgmqd:' operator(pg_catalog.||) $1, 0)
                    )
                    """,
                    [.text(queue.name.folded)]
                ),
            ],
            deadline: .seconds(10)
        )
        let claimer = try await Connection.open(url: queue.url, deadline: .seconds(10))
        let loop = try await BareLoop(claimer, queue.name, batch: 100).prepared()
        let claiming = Task {
            for await _ in notes where try await loop() > 0 { stopwatch.note() }
        }
        let latencies = try await send { await stopwatch.begun() }
        continuation.finish()
        _ = try? await claiming.value
        await claimer.close()
        await listener.close()
        return Result(latencies)
    }

    private func send(_ begun: () async -> Instant) async throws -> [Duration] {
        let sender = try await Connection.open(url: queue.url, deadline: .seconds(10))
        var latencies: [Duration] = []
        for _ in 0..<sends {
            try await Task.sleep(for: pause)
            let before = Instant.now
            _ = try await Sending(sender).send([Array("{}".utf8)], to: queue.name, deadline: .seconds(10))
            latencies.append(await begun() - before)
        }
        await sender.close()
        return latencies
    }
}

/// A handler that notes when it was begun.
private final class Stopwatch: Handler {
    private let stream: AsyncStream<Instant>
    private let continuation: AsyncStream<Instant>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Instant.self)
    }

    func handle(_ message: Message) async -> Verdict {
        note()
        return .done
    }

    func note() {
        continuation.yield(.now)
    }

    func begun() async -> Instant {
        for await time in stream { return time }
        return .now
    }
}
