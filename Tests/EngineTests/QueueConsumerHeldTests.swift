import Engine
import Logging
import Testing

/// The shell around the flow, while calls to the database are not answered.
@Suite(.timeLimit(.minutes(5))) struct QueueConsumerHeldTests {
    /// Tells what it begins, and what it has cancelled; a run that `waits` ends with its cancellation, and by nothing else.
    private struct Teller: Handler {
        private let begun = AsyncStream.makeStream(of: Int64.self)
        private let cancelled = AsyncStream.makeStream(of: Int64.self)
        private let waits: Bool

        init(waits: Bool) {
            self.waits = waits
        }

        func handle(_ message: Message) async -> Verdict {
            begun.continuation.yield(message.id)
            guard waits else { return .done }
            for await _ in AsyncStream<Never>.makeStream().stream {}
            cancelled.continuation.yield(message.id)
            return .failed("cancelled")
        }

        func nextBegun() async -> Int64? { await begun.stream.first { _ in true } }
        func nextCancelled() async -> Int64? { await cancelled.stream.first { _ in true } }
    }

    private static func consumer(
        _ queue: HeldQueue,
        workers: Int = 1,
        pumps: Int = 2,
        handlerTimeout: Duration = .seconds(3600),
        _ handler: any Handler
    ) -> QueueConsumer {
        let policy = QueuePolicy(
            name: "q",
            workers: workers,
            // No renewal comes while a test lasts.
            visibilityTimeout: .seconds(3600),
            handlerTimeout: handlerTimeout
        )
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return QueueConsumer(policy: policy, queue: queue, handler: handler, pumps: pumps, logger: quiet)
    }

    /// With a second worker a second claim is under way meanwhile.
    @Test(arguments: [1, 2])
    func `a consumer whose task is cancelled hands back what runs, and returns`(workers: Int) async throws {
        let queue = HeldQueue()
        let handler = Teller(waits: true)
        let consumer = Self.consumer(queue, workers: workers, handler)
        let running = Task { await consumer.run() }
        try await queue.exchanges.next().answer(claimed: [lease(1)])
        #expect(await handler.nextBegun() == 1)
        let held = workers == 2 ? try await queue.exchanges.next() : nil
        #expect(held?.question.claim?.limit == (workers == 2 ? 1 : nil))
        running.cancel()
        let settling = try await queue.exchanges.next()
        #expect(settling.question.settlements == [settlement(lease(1), .released(after: .zero))])
        settling.answer()
        await running.value
        #expect(consumer.hasEnded)
        #expect(consumer.snapshot().counters.released == 1)
    }

    @Test func `a consumer whose task is cancelled while its first claim is held returns`() async throws {
        let queue = HeldQueue()
        let consumer = Self.consumer(queue, Teller(waits: true))
        let running = Task { await consumer.run() }
        let claim = try await queue.exchanges.next()
        #expect(claim.question.claim != nil)
        running.cancel()
        await running.value
        #expect(consumer.hasEnded)
    }

    /// A cancelled run spends its worker's task. The one that follows takes the next message by itself, and nobody but it
    /// arms the timer.
    @Test func `a message taken by a worker that starts anew has a deadline while no call is answered`() async throws {
        let queue = HeldQueue()
        let handler = Teller(waits: true)
        let consumer = Self.consumer(queue, pumps: 1, handlerTimeout: .milliseconds(200), handler)
        let running = Task { await consumer.run() }
        // One more than there are workers, as after a burst of quick handlers.
        try await queue.exchanges.next().answer(claimed: [lease(1), lease(2)])
        let first = try await queue.exchanges.next()
        #expect(first.question.settlements.map(\.attempt?.kind) == [.timedOut])
        #expect(await handler.nextBegun() == 1)
        #expect(await handler.nextCancelled() == 1)
        #expect(await handler.nextBegun() == 2)
        #expect(await handler.nextCancelled() == 2)
        first.answer()
        let second = try await queue.exchanges.next()
        #expect(second.question.settlements.map(\.fence.messageID) == [2])
        #expect(second.question.settlements.map(\.attempt?.kind) == [.timedOut])
        second.answer()
        running.cancel()
        await running.value
    }

    @Test func `a body that cannot be read fails its message and pauses nothing`() async throws {
        let queue = HeldQueue()
        let handler = Teller(waits: false)
        let consumer = Self.consumer(queue, pumps: 1, handler)
        let running = Task { await consumer.run() }
        try await queue.exchanges.next().answer(claimed: [lease(1, isUnread: true)])
        let read = try await queue.reads.next()
        #expect(read.question == lease(1).fence)
        read.fail(.rejected("no such chunk"))
        let failing = try await queue.exchanges.next()
        #expect(failing.question.settlements.map(\.fence.messageID) == [1])
        let attempt = try #require(failing.question.settlements.first?.attempt)
        #expect(attempt.kind == .failed)
        #expect(attempt.reason == "unreadable: its body cannot be read: no such chunk")
        failing.answer()
        let claim = try await queue.exchanges.next()
        #expect(consumer.snapshot().paused == nil)
        #expect(claim.question.claim != nil)
        claim.answer(claimed: [lease(2)])
        #expect(await handler.nextBegun() == 2, "and not the first, unread")
        let settling = try await queue.exchanges.next()
        #expect(settling.question.settlements == [settlement(lease(2), .done)])
        settling.answer()
        running.cancel()
        await running.value
        #expect(consumer.snapshot().counters.retried == 1)
        #expect(consumer.snapshot().counters.done == 1)
    }
}
