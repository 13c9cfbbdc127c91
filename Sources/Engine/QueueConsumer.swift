import Logging
import Synchronization

/// Consumes one queue: performs what ``Flow`` decides, with a fixed number of worker tasks.
///
/// It owns all its tasks: the workers, two pumps that carry exchanges to the database, and one that renews. Decisions
/// are made under one lock; nothing is awaited, resumed or logged while it is held.
public final class QueueConsumer: Sendable {
    struct State {
        var flow: Flow
        var idleWorkers: [(worker: Int, continuation: CheckedContinuation<Assignment, Never>)] = []
        var idlePumps: [CheckedContinuation<Errand, Never>] = []
        var idleRenewer: CheckedContinuation<RenewalOrder?, Never>?
        var ended: [CheckedContinuation<Void, Never>] = []
        var tasks: [Task<Void, Never>?]
        var hasEnded = false
        /// The earliest moment for which the timer has been armed since it last fired.
        var armed: Instant?
        var pulse = Pulse()
        var pauseLogged: String?

        mutating func takeTask() -> Task<Void, Never>? {
            guard let index = tasks.firstIndex(where: { $0 != nil }) else { return nil }
            return tasks[index].take()
        }
    }

    /// What a pump is woken for.
    enum Errand: Sendable {
        case job(Job)
        /// To prove that it turns.
        case turn
        case end
    }

    public let name: String
    let queue: any Queue
    let handler: any Handler
    let logger: Logger
    let state: Mutex<State>
    private let alarm: Mutex<Alarm?> = Mutex(nil)

    /// Exchanges that may be under way at once: as many as there are connections for work, shared with other queues.
    public let pumps: Int
    /// What is left after the grace, handlers that are being cancelled and outcomes to settle, may take this much longer,
    /// then it is given up.
    public let flushAllowance: Duration

    public init(policy: QueuePolicy, queue: any Queue, handler: any Handler, pumps: Int = 2, logger: Logger) {
        self.pumps = pumps
        flushAllowance = .seconds(5) + handler.cancellationAllowance
        name = policy.name
        self.queue = queue
        self.handler = handler
        var logger = logger
        logger[metadataKey: "queue"] = "\(policy.name)"
        self.logger = logger
        state = Mutex(
            State(
                flow: Flow(policy: policy, seed: .random(in: .min ... .max)),
                tasks: Array(repeating: nil, count: policy.workers)
            )
        )
    }

    /// Returns when the consumer was stopped and has ended. Cancelling the task stops it without grace.
    public func run() async {
        let alarm = Alarm(label: "queue.\(name)") { [weak self] in self?.alarmFired() }
        self.alarm.withLock { $0 = alarm }
        for worker in 0..<state.withLock({ $0.tasks.count }) { start(worker: worker) }
        // Not children of this task: whoever cancels it asks for a stop, and a stop hands messages back through them.
        let calls =
            (0..<pumps).map { number in Task(name: "\(name) call \(number)") { await self.pump(number) } }
            + [Task(name: "\(name) renewal") { await self.renew() }]
        await withTaskCancellationHandler {
            await end()
        } onCancel: {
            stop(grace: .zero)
        }
        for call in calls { call.cancel() }
        for call in calls { await call.value }
        alarm.cancel()
        let halted = state.withLock { $0.flow.snapshot(now: .now).runs.count > 0 }
        if halted { return }
        while let task = state.withLock({ $0.takeTask() }) { await task.value }
    }

    // MARK: - From outside

    public func wake(_ wake: Wake) {
        perform { flow, now in flow.hint(wake, now: now) }
    }

    /// Takes nothing new and goes on with what is held.
    public func quiet() {
        perform { flow, _ in flow.quiet() }
    }

    public func resume() {
        perform { flow, now in flow.resume(now: now) }
    }

    /// Hands back what has not begun; running handlers are cancelled when the grace is over. A second call may
    /// shorten it.
    public func stop(grace: Duration) {
        let deadline = Instant.now + grace
        performCancelling { flow, now in
            flow.stop(until: deadline, allowance: flushAllowance, now: now)
            return flow.tick(now: now)
        }
    }

    /// Stopped, drained and done.
    public var hasEnded: Bool { state.withLock { $0.hasEnded } }

    public func snapshot() -> Snapshot {
        state.withLock { $0.flow.snapshot(now: .now) }
    }

    // MARK: - Deciding

    /// Tells the flow of an event, then hands out what it wants done.
    @discardableResult
    func perform<R: Sendable>(_ event: (inout Flow, Instant) -> R) -> R {
        let now = Instant.now
        let (result, due) = state.withLock { state in
            let result = event(&state.flow, now)
            return (result, state.dispatch(now: now))
        }
        handOut(due)
        return result
    }

    func handOut(_ due: Due) {
        for (continuation, assignment) in due.assignments { continuation.resume(returning: assignment) }
        for (continuation, errand) in due.errands { continuation.resume(returning: errand) }
        if let (continuation, order) = due.renewal { continuation.resume(returning: order) }
        for continuation in due.ended { continuation.resume() }
        if due.ended.isEmpty { alarm.withLock { $0 }?.arm(at: due.alarm) }
        if due.news != nil || due.pause != nil { log(due) }
    }

    /// Tells the flow of an event that may cancel runs. Their tasks are taken under the same lock: the next moment a
    /// worker may have another, innocent one.
    func performCancelling(_ event: (inout Flow, Instant) -> [Int]) {
        let now = Instant.now
        let (tasks, due) = state.withLock { state -> ([Task<Void, Never>], Due) in
            let cancelled = event(&state.flow, now)
            return (cancelled.compactMap { state.tasks[$0] }, state.dispatch(now: now))
        }
        for task in tasks { task.cancel() }
        handOut(due)
    }

    private func alarmFired() {
        state.withLock { $0.armed = nil }
        performCancelling { flow, now in flow.tick(now: now) }
    }

    private func end() async {
        await withCheckedContinuation { continuation in
            let over = state.withLock { state in
                if !state.hasEnded { state.ended.append(continuation) }
                return state.hasEnded
            }
            if over { continuation.resume() }
        }
    }

    // MARK: - Workers

    /// A worker's task ends with the run that was cancelled, and another takes its name: so a run can be cancelled
    /// without a task or a timer for each message.
    private func start(worker: Int) {
        // Inside the lock: whoever cancels the run must find its task.
        state.withLock { state in
            state.tasks[worker] = Task(name: "\(name)-\(worker)") { await self.work(worker) }
        }
    }

    private func work(_ worker: Int) async {
        var assignment = await firstAssignment(worker)
        while true {
            let verdict: Verdict
            switch assignment {
            case .run(let message): verdict = await handler.handle(message)
            case .read(let message, let fence): verdict = await handle(message, of: fence, by: worker)
            case .wait, .stop: return
            }
            guard let next = await finish(worker, verdict) else {
                start(worker: worker)
                return
            }
            assignment = next
        }
    }

    /// A server that is slow for once does not make a message unreadable.
    private static let mostOverdueReads = 3

    /// Reads what the claim has left, then runs the handler.
    private func handle(_ message: Message, of fence: Fence, by worker: Int) async -> Verdict {
        var pause = Duration.milliseconds(200)
        var tries = 1
        while !Task.isCancelled {
            do throws(QueueFailure) {
                let content = try await queue.read(fence)
                perform { flow, _ in flow.hasRead(worker: worker) }
                if Task.isCancelled { break }
                if let content { return await handler.handle(message.with(content)) }
                // It is another's by now: whatever becomes of it here is refused.
                return .snooze(.zero)
            } catch {
                switch error {
                case .unavailable, .busy, .exhausted, .refused, .cancelled:
                    try? await Task.sleep(for: pause)
                    pause = min(pause * 2, .seconds(2))
                case .overdue(let reason) where tries < Self.mostOverdueReads:
                    tries += 1
                    logger.debug("body read timed out, retried", metadata: ["reason": "\(reason)"])
                case .overdue(let reason), .rejected(let reason), .conflict(let reason):
                    // The message's fault: it fails, and in the end is dead-lettered by a copy inside the database.
                    perform { flow, _ in flow.hasRead(worker: worker) }
                    return .failed("unreadable: its body cannot be read: \(reason)")
                }
            }
        }
        return .notStarted("cancelled before it began")
    }

    private func firstAssignment(_ worker: Int) async -> Assignment {
        await withCheckedContinuation { continuation in
            let now = Instant.now
            let (ready, due) = state.withLock { state -> (Assignment?, Due) in
                var next: Assignment? = state.flow.take(worker: worker, now: now)
                if case .wait = next {
                    state.idleWorkers.append((worker, continuation))
                    next = nil
                }
                // In either case: what has begun has a deadline, for which nobody else arms the timer.
                return (next, state.dispatch(now: now))
            }
            if let ready { continuation.resume(returning: ready) }
            handOut(due)
        }
    }

    /// - Returns: nil if the run had been cancelled, and this task with it.
    private func finish(_ worker: Int, _ verdict: Verdict) async -> Assignment? {
        let now = Instant.now
        // What is to be handed out is large, and nearly always nothing: it does not come out of this lock.
        let (next, asks, deadline) = state.withLock { state -> (Assignment?, Bool, Instant?) in
            if state.flow.finished(worker: worker, verdict: verdict, now: now) != nil { return (nil, true, nil) }
            let next = state.flow.take(worker: worker, now: now)
            // While both pumps are busy there is nobody to hand anything to: the next of them will ask.
            let hasPump = !state.idlePumps.isEmpty && !state.flow.isGathering(now: now)
            let asks = hasPump || state.flow.mayHaveEnded
            return (next, asks, asks ? nil : state.toArm(state.flow.earliestDeadline))
        }
        if let deadline { alarm.withLock { $0 }?.arm(at: deadline) }
        if asks { handOut(state.withLock { $0.dispatch(now: now) }) }
        guard let next else { return nil }
        if case .wait = next { return await firstAssignment(worker) }
        return next
    }
}
