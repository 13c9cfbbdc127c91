import Engine
import Logging
import QueueModel
import Synchronization
import Testing

/// The shell around the flow, with all its tasks, in memory.
@Suite struct QueueConsumerTests {
    /// Counts what it was given, and does what the test says.
    private final class Counter: Handler {
        let runs = Mutex<[Int64: Int]>([:])
        private let body: @Sendable (Message) async -> Verdict

        init(_ body: @escaping @Sendable (Message) async -> Verdict) {
            self.body = body
        }

        func handle(_ message: Message) async -> Verdict {
            runs.withLock { $0[message.id, default: 0] += 1 }
            return await body(message)
        }
    }

    private static func store(timeout: Duration = .seconds(30)) -> MemoryQueue.Store {
        MemoryQueue.Store(QueueModel.Settings(visibilityTimeout: timeout))
    }

    private static func consumer(
        _ store: MemoryQueue.Store,
        daemon: Int = 0,
        workers: Int = 4,
        timeout: Duration = .seconds(30),
        handlerTimeout: Duration = .seconds(300),
        _ handler: any Handler
    ) -> QueueConsumer {
        let policy = QueuePolicy(
            name: "q",
            workers: workers,
            visibilityTimeout: timeout,
            handlerTimeout: handlerTimeout,
            retry: RetryPolicy(first: .milliseconds(1))
        )
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return QueueConsumer(policy: policy, queue: MemoryQueue(store, daemon: daemon), handler: handler, logger: quiet)
    }

    @Test func `three consumers do every message once`() async {
        let store = Self.store()
        store.send(3000)
        let done = AsyncStream.makeStream(of: Void.self)
        let handler = Counter { _ in
            done.continuation.yield()
            return .done
        }
        let consumers = (0..<3).map { Self.consumer(store, daemon: $0, handler) }
        await withTaskGroup(of: Void.self) { group in
            for consumer in consumers { group.addTask { await consumer.run() } }
            var count = 0
            for await _ in done.stream {
                count += 1
                if count == 3000 { break }
            }
            for consumer in consumers { consumer.stop(grace: .seconds(10)) }
        }
        #expect(store.left == 0)
        #expect(handler.runs.withLock { $0.count == 3000 && $0.values.allSatisfy { $0 == 1 } })
        #expect(consumers.allSatisfy { $0.hasEnded })
        #expect(consumers.reduce(0) { $0 + $1.snapshot().counters.done } == 3000)
    }

    @Test func `a deadline, a stop and a wake cancel, hand back and go on`() async {
        let store = Self.store()
        store.send(8)
        let begun = AsyncStream.makeStream(of: Bool.self)
        // First runs overrun their deadline; second ones wait for the shutdown.
        let handler = Counter { message in
            begun.continuation.yield(message.attempt > 1)
            // Ends with its cancellation, and by nothing else.
            for await _ in AsyncStream<Never>.makeStream().stream {}
            return .failed("cancelled")
        }
        let consumer = Self.consumer(store, workers: 8, handlerTimeout: .milliseconds(300), handler)
        let running = Task { await consumer.run() }
        var again = 0
        for await isSecond in begun.stream {
            again += isSecond ? 1 : 0
            consumer.wake(.notified)
            _ = consumer.snapshot()
            if again == 4 { break }
        }
        consumer.quiet()
        consumer.resume()
        consumer.requestTurn()
        consumer.stop(grace: .zero)
        await running.value
        #expect(consumer.hasEnded)
        #expect(store.left == 8)
        #expect(consumer.snapshot().counters.retried >= 4)
    }

    @Test func `what runs longer than its lease is renewed`() async {
        let store = Self.store(timeout: .seconds(12))
        store.send(2)
        // Each is renewed at a third of its lease: the fourth time is after its first end.
        let renewed = Task { for await _ in store.renewals.stream.prefix(2 * 4) {} }
        let ended = AsyncStream.makeStream(of: Void.self)
        let handler = Counter { _ in
            // Where it is not renewed it is cancelled, and run again.
            await withTaskCancellationHandler {
                await renewed.value
            } onCancel: {
                renewed.cancel()
            }
            ended.continuation.yield()
            return .done
        }
        let consumers = (0..<2).map { Self.consumer(store, daemon: $0, timeout: .seconds(12), handler) }
        await withTaskGroup(of: Void.self) { group in
            for consumer in consumers { group.addTask { await consumer.run() } }
            var count = 0
            for await _ in ended.stream {
                count += 1
                if count == 2 { break }
            }
            for consumer in consumers { consumer.stop(grace: .seconds(10)) }
        }
        #expect(store.left == 0)
        #expect(handler.runs.withLock { $0.values.allSatisfy { $0 == 1 } })
    }
}
