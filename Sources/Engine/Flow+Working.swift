import DequeModule

/// What a worker does next.
public enum Assignment: Sendable {
    case run(Message)
    /// The same, once its body and headers have been read.
    case read(Message, Fence)
    case wait
    case stop
}

extension Flow {
    /// - Parameter until: when their visibility timeout passes, on our clock.
    mutating func accept(_ leases: [Lease], until: Instant, now: Instant) {
        guard !leases.isEmpty else { return }
        counters.claimed += leases.count
        for lease in leases { heldBytes += lease.held }
        // What is too large is never read.
        let size = leases.reduce(0) { $0 + ($1.isOversized ? 0 : $1.size) }
        bytesEach = max(1 << 10, (bytesEach + size / leases.count) / 2)
        earliestEnd = earliest(earliestEnd, until)
        // Where the last renewal failed, the first lease tests the next.
        renewAt = earliest(renewAt, renewalFailures > 0 ? now : now + policy.visibilityTimeout / 3)
        for lease in leases { accept(lease, until: until) }
        if caution.isActive { releaseReady() }
    }

    private mutating func accept(_ lease: Lease, until: Instant) {
        if let settlement = decided(lease) ?? Settlement.beforeRun(lease, policy: policy) {
            heldBytes -= lease.held
            settle(settlement)
        } else if isStopping {
            release(lease)
        } else if policy.runsInProcess, lease.history.crashes >= max(1, policy.maxCrashes - 1) {
            if caution.isActive { return release(lease) }
            caution.hold(lease, until: until)
        } else {
            caution.sawInnocent()
            ready.append(Waiting(lease: lease, until: until))
        }
    }

    /// The next message for this worker, which must be idle.
    public mutating func take(worker: Int, now: Instant) -> Assignment {
        if caution.isActive {
            if caution.until.map({ $0 <= now }) ?? true { loseSuspect() }
            guard isAlone, let (lease, until) = caution.start() else { return idle }
            return begin(lease, until: until, worker: worker, now: now)
        }
        while let waiting = nextReady() {
            if waiting.until > now {
                return begin(waiting.lease, until: waiting.until, worker: worker, now: now)
            }
            heldBytes -= waiting.lease.held
            lose(waiting.lease)
        }
        return idle
    }

    private mutating func nextReady() -> Waiting? {
        // What has been read may always begin: nearly always it is the first, taken without a copy of what stays.
        if let isUnread = ready.first?.lease.isUnread, !isUnread { return ready.removeFirst() }
        return ready.firstIndex(where: mayBegin).map { ready.remove(at: $0) }
    }

    /// One body is read at a time: the connections are all queues'. Alone a message may be as large as it likes.
    private func mayBegin(_ waiting: Waiting) -> Bool {
        !waiting.lease.isUnread || reading == nil && (running == 0 || bytesLeft >= waiting.lease.size)
    }

    /// The first in line wants more room than there is. Others pass it; but nothing is claimed that would take its room.
    var largestWaits: Bool {
        guard let first = ready.first, first.lease.isUnread else { return false }
        return running > 0 && bytesLeft < first.lease.size
    }

    /// This worker's message has been read, or is not to be had.
    public mutating func hasRead(worker: Int) {
        if reading == worker { reading = nil }
    }

    /// Nothing else is held: neither run, nor on its way here or back. What the database has refused to take several
    /// times is not waited for: it may be refused for ever.
    private var isAlone: Bool {
        running == 0 && reserved == 0 && unsettled == stubborn && lost.isEmpty && losing == 0
    }

    private var stubborn: Int {
        guard unsettled > 0 else { return 0 }
        return (again + underway).reduce(0) { $1.tries > Self.patientTries ? $0 + $1.settlements.count : $0 }
    }

    /// A suspect's journal row is opened when it is about to run, and not when it is claimed: while it waits, others
    /// run, or are on their way back, and a process that ends then ends by another's fault.
    mutating func suspectToBegin(now: Instant) -> Job? {
        guard isAlone, !isPaused(now: now), let delivery = caution.open() else { return nil }
        return .exchange(Exchange(begins: delivery))
    }

    mutating func began(_ delivery: Delivery, refused: Set<Fence>) {
        guard let suspect = caution.suspect, suspect.delivery == delivery else { return }
        guard refused.contains(delivery.fence) else { return caution.opened() }
        loseSuspect()
    }

    mutating func loseSuspect() {
        guard let suspect = caution.abandon() else { return }
        heldBytes -= suspect.held
        lose(suspect)
    }

    private var idle: Assignment {
        isStopping && reserved == 0 ? .stop : .wait
    }

    private mutating func begin(_ lease: Lease, until: Instant, worker: Int, now: Instant) -> Assignment {
        let deadline = now + policy.handlerTimeout
        var lease = lease
        let isUnread = lease.isUnread
        lease.isUnread = false
        if isUnread {
            heldBytes += lease.held
            reading = worker
        }
        runs[worker] = Run(lease: lease, until: until, began: now, deadline: deadline)
        earliestEnd = earliest(earliestEnd, until)
        running += 1
        if earliestDeadline == nil { earliestDeadline = deadline }
        let message = Message(
            queue: policy.name,
            id: lease.fence.messageID,
            readCount: Int(lease.fence.readCount),
            enqueuedAt: lease.delivery.enqueuedAt,
            body: lease.body,
            headers: lease.headers,
            attempt: lease.history.attempts + 1
        )
        return isUnread ? .read(message, lease.fence) : .run(message)
    }

    /// What this worker's run settles with; for the simulation, which has several leases of one message to tell apart.
    package func fence(worker: Int) -> Fence? {
        runs[worker]?.lease.fence
    }

    /// A worker's handler has ended.
    /// - Returns: why it had been cancelled, if it had: then the worker's task is spent.
    @discardableResult
    public mutating func finished(worker: Int, verdict: Verdict, now: Instant) -> CancelCause? {
        guard let run = runs[worker].take() else { return nil }
        hasRead(worker: worker)
        running -= 1
        heldBytes -= run.lease.held
        prefetch.finishedOne(now: now)
        caution.ended(run.lease.fence, settling: run.cause != .leaseLost)
        if run.cause == .leaseLost {
            // Counted when it was lost; its outcome is nobody's.
            return run.cause
        }
        if run.cause == nil { noteStart(verdict, now: now) }
        // The common case draws no random number and makes no record.
        if verdict == .done {
            // What is journaled is looked for by its id.
            let place = run.lease.delivery.isJournaled ? nil : run.lease.place
            done.append(Settlement(delivery: run.lease.delivery, outcome: .done, place: place))
            return run.cause
        }
        let settlement = Settlement.of(
            verdict,
            lease: run.lease,
            cause: run.cause,
            took: now - run.began,
            policy: policy,
            draw: random.draw()
        )
        if let attempt = settlement.attempt {
            failures.append(FailedRun(messageID: run.lease.fence.messageID, attempt: attempt))
        }
        settle(settlement)
        return run.cause
    }

    /// A handler that cannot be started is no message's fault: the queue pauses, and what waits is handed back.
    private mutating func noteStart(_ verdict: Verdict, now: Instant) {
        guard case .notStarted(let reason) = verdict else {
            if fault != nil {
                fault = nil
                faults = 0
            }
            return
        }
        // Several workers find out at the same time; that is one fault.
        if fault.map({ $0.until <= now }) ?? true { faults += 1 }
        let (first, most) = Pause.Cause.handler.bounds
        let delay = grown(first, times: faults - 1, most: most)
        fault = Pause(until: now + delay, reason: reason, cause: .handler)
        while let waiting = ready.popFirst() { release(waiting.lease, after: policy.notStartedDelay) }
    }

    /// The lease is gone before its outcome was decided.
    mutating func lose(_ lease: Lease) {
        counters.lost += 1
        losses.append(lease.fence.messageID)
        if lease.delivery.isJournaled { lost.append(lease.delivery) }
    }

    // MARK: - Time

    /// Deadlines and leases' ends.
    /// - Returns: the workers whose handlers are to be cancelled.
    public mutating func tick(now: Instant) -> [Int] {
        asked = now
        var cancelled: [Int] = []
        if let end = earliestEnd, end <= now { cancelled += endLeases(now: now) }
        if let deadline = earliestDeadline, deadline <= now {
            earliestDeadline = nil
            for index in runs.indices {
                guard let run = runs[index], run.cause == nil else { continue }
                if run.deadline <= now {
                    runs[index]?.cause = .deadline
                    cancelled.append(index)
                } else {
                    earliestDeadline = earliest(earliestDeadline, run.deadline)
                }
            }
        }
        if lifecycle.tick(now: now) { halt() }
        if lifecycle.isGraceOver(at: now) {
            // The last time that phantoms are closed.
            phantomsUntil = nil
            closePhantomsAt = closePhantomsAt.map { min($0, now) }
            for index in runs.indices where runs[index].map({ $0.cause == nil }) ?? false {
                runs[index]?.cause = .shutdown
                cancelled.append(index)
                if let id = runs[index]?.lease.fence.messageID { cutOff.append(id) }
            }
        }
        noteLeft(now: now)
        return cancelled
    }

    private mutating func endLeases(now: Instant) -> [Int] {
        var cancelled: [Int] = []
        earliestEnd = nil
        for index in runs.indices {
            guard let run = runs[index], run.cause != .leaseLost else { continue }
            if run.until <= now {
                cancelled.append(index)
                loseRun(index)
            } else {
                earliestEnd = earliest(earliestEnd, run.until)
            }
        }
        // At once, and not when a worker comes to them: an open row is a crash to whoever claims the message next.
        for index in ready.indices.reversed() {
            if ready[index].until <= now {
                let lease = ready.remove(at: index).lease
                heldBytes -= lease.held
                lose(lease)
            } else {
                earliestEnd = earliest(earliestEnd, ready[index].until)
            }
        }
        return cancelled
    }

    mutating func loseRun(_ index: Int) {
        guard let run = runs[index] else { return }
        runs[index]?.cause = .leaseLost
        lose(run.lease)
        // Its bytes are still held: the handler goes on until it heeds the cancellation.
    }
}
