import Engine
import Testing

/// A port whose calls the test answers by hand. A call that nobody answers ends when its task is cancelled, as one on a
/// real connection does.
final class HeldQueue: Engine.Queue {
    let exchanges = Calls<Exchange, ExchangeResult>()
    let reads = Calls<Fence, Content?>()
    let renewals = Calls<RenewalOrder, Renewals>()

    /// The calls of one kind, in the order in which they came.
    final class Calls<Question: Sendable, Answer: Sendable>: Sendable {
        private let asked = AsyncStream.makeStream(of: Call<Question, Answer>.self)

        func ask(_ question: Question) async throws(QueueFailure) -> Answer {
            let answers = AsyncStream.makeStream(of: Result<Answer, QueueFailure>.self)
            asked.continuation.yield(Call(question: question, reply: answers.continuation))
            guard let answer = await answers.stream.first(where: { _ in true }) else { throw .cancelled }
            return try answer.get()
        }

        /// The next call, once it has come.
        func next() async throws -> Call<Question, Answer> {
            try #require(await asked.stream.first { _ in true })
        }
    }

    /// One call under way.
    struct Call<Question: Sendable, Answer: Sendable>: Sendable {
        let question: Question
        fileprivate let reply: AsyncStream<Result<Answer, QueueFailure>>.Continuation

        func answer(_ answer: Answer) { reply.yield(.success(answer)) }
        func fail(_ failure: QueueFailure) { reply.yield(.failure(failure)) }
    }

    func exchange(_ exchange: Exchange) async throws(QueueFailure) -> ExchangeResult {
        try await exchanges.ask(exchange)
    }

    func read(_ fence: Fence) async throws(QueueFailure) -> Content? { try await reads.ask(fence) }

    func renew(_ renewal: RenewalOrder) async throws(QueueFailure) -> Renewals { try await renewals.ask(renewal) }

    // No test is about these.

    func closePhantoms(holding: [Delivery]) async throws(QueueFailure) {}

    func probe(besides: Bool, passingOver: [Int64]) async throws(QueueFailure) -> Probe {
        Probe(hasVisible: false, nextDue: nil, hasWriters: false)
    }

    func watch(passingOver: [Int64]) async throws(QueueFailure) -> Watched { .nothing }

    func list(_ claim: Claim) async throws(QueueFailure) -> [Candidate] { [] }

    func fallAsleep() async throws(QueueFailure) -> Bool { false }

    func wakeUp() async throws(QueueFailure) {}
}

extension HeldQueue.Call where Question == Exchange, Answer == ExchangeResult {
    func answer(claimed leases: [Lease] = []) {
        answer(ExchangeResult(claimed: leases, clock: MemoryQueue.clock, sent: .now))
    }
}
