import DequeModule

extension Flow {
    /// `done` travels apart from the other outcomes: it is the many, and needs nothing but its fence.
    mutating func settle(_ settlement: Settlement) {
        if settlement.outcome == .done {
            done.append(settlement)
        } else {
            others.append(settlement)
        }
    }

    mutating func batch(from box: WritableKeyPath<Flow, Deque<Settlement>>) -> [Settlement] {
        let count = min(self[keyPath: box].count, policy.batchLimit)
        let batch = Array(self[keyPath: box].prefix(count))
        self[keyPath: box].removeFirst(count)
        if box == \.done { gatheringSince = nil }
        settling += count
        if count > 0 { inFlight.append(batch) }
        return batch
    }

    mutating func lossesToClose(now: Instant) -> [Delivery] {
        guard !lost.isEmpty, loseAgainAt.map({ $0 <= now }) ?? true else { return [] }
        defer { lost = [] }
        loseAgainAt = nil
        losing += lost.count
        return lost
    }

    mutating func repeatedSettlement(now: Instant) -> Job? {
        // What failed twice may be waiting for a lock: it takes one of the connections, not all.
        guard !underway.contains(where: { $0.tries > 1 }),
            let index = again.firstIndex(where: { $0.notBefore <= now })
        else { return nil }
        let item = again.remove(at: index)
        settling += item.settlements.count
        underway.append(item)
        inFlight.append(item.settlements)
        return .exchange(Exchange(settlements: item.settlements))
    }

    mutating func settled(_ exchange: Exchange, refused: Set<Fence>) {
        settling -= exchange.settlements.count
        landed(exchange.settlements)
        if let item = endRepeat(exchange), item.tries == 1 { firstRepeats -= 1 }
        for settlement in exchange.settlements {
            if !refused.isEmpty, refused.contains(settlement.fence) {
                refusedByFence(settlement)
            } else {
                count(settlement)
            }
        }
    }

    private mutating func refusedByFence(_ settlement: Settlement) {
        if passedOn.remove(settlement.fence) != nil {
            // Its outcome goes along with the new lease.
        } else if settlement.mayHaveHappened {
            count(settlement)
        } else {
            counters.lost += 1
            losses.append(settlement.fence.messageID)
        }
        if settlement.delivery.isJournaled { lost.append(settlement.delivery) }
    }

    private mutating func count(_ settlement: Settlement) {
        switch settlement.outcome {
        case .done: counters.done += 1
        case .retry: counters.retried += 1
        case .deadLetter(let reason):
            counters.deadLettered += 1
            burials.append(
                Burial(messageID: settlement.fence.messageID, deliveries: Int(settlement.fence.readCount))
            )
            if reason.hasPrefix("crashed") { counters.crashed += 1 }
        case .snooze: counters.snoozed += 1
        case .released: counters.released += 1
        case .condemned: break
        }
    }

    /// Puts the settlements of a failed transaction where they go again by themselves, in smaller company if the
    /// failure will not pass: so one bad outcome is found, and holds none of the others back.
    mutating func unsettled(_ settlements: [Settlement], of exchange: Exchange, _ failure: QueueFailure, now: Instant) {
        guard !settlements.isEmpty else { return }
        settling -= settlements.count
        landed(settlements)
        let earlier = endRepeat(exchange)
        if earlier?.tries == 1 { firstRepeats -= 1 }
        let tries = (earlier?.tries ?? 0) + 1
        let settlements = passedOn.isEmpty ? settlements : settlements.filter { passedOn.remove($0.fence) == nil }
        guard !settlements.isEmpty else { return }
        switch failure {
        case .unavailable, .cancelled:
            let marked = settlements.map { settlement in
                var settlement = settlement
                settlement.mayHaveHappened = true
                return settlement
            }
            put(
                marked,
                after: tries == 1 ? .zero : grown(.milliseconds(20), times: tries, most: .seconds(1)),
                tries,
                now
            )
        case .exhausted:
            // Not so long that a lease ends meanwhile, and its delivery is taken for a crash.
            let most = min(.seconds(10), policy.visibilityTimeout / 3)
            put(settlements, after: grown(.milliseconds(500), times: tries, most: most), tries, now)
        case .busy(_, let smaller):
            let delay = grown(.milliseconds(20), times: tries, most: .seconds(1))
            if (smaller || tries > 2) && settlements.count > 1 {
                split(settlements, after: delay, tries, now)
            } else {
                put(settlements, after: delay, tries, now)
            }
        case .refused, .rejected:
            if settlements.count > 1 {
                split(settlements, after: .zero, tries, now)
            } else {
                cannotSettle(settlements[0], failure, tries: tries, now: now)
            }
        }
    }

    private mutating func split(_ settlements: [Settlement], after delay: Duration, _ tries: Int, _ now: Instant) {
        let half = settlements.count / 2
        put(Array(settlements[..<half]), after: delay, tries, now)
        put(Array(settlements[half...]), after: delay, tries, now)
    }

    private mutating func put(_ settlements: [Settlement], after delay: Duration, _ tries: Int, _ now: Instant) {
        if tries == 1 { firstRepeats += 1 }
        again.append(Repeat(settlements: settlements, notBefore: now + delay, tries: tries))
    }

    /// One outcome by itself that the database will not take.
    private mutating func cannotSettle(_ settlement: Settlement, _ failure: QueueFailure, tries: Int, now: Instant) {
        var settlement = settlement
        switch settlement.outcome {
        case .deadLetter(let why):
            // Its dead-letter queue is gone or forbidden. The decision is kept in the journal, the message in its
            // queue, and the move is tried again with the next delivery, without another run.
            settlement.outcome = .condemned(reason: why, after: .seconds(60))
            put([settlement], after: .zero, tries + 1, now)
        case .done, .retry, .snooze, .released, .condemned:
            // What is missing is missing for all; what is rejected is this one's own fault.
            if case .refused(let reason) = failure {
                takePause(reason, first: .seconds(2), most: .seconds(30), now: now)
            }
            put([settlement], after: grown(.seconds(1), times: tries, most: .seconds(30)), tries + 1, now)
        }
        troubles.append(Trouble(messageID: settlement.fence.messageID, reason: failure.reason))
    }

    private mutating func landed(_ settlements: [Settlement]) {
        guard let fence = settlements.first?.fence else { return }
        inFlight.removeAll { $0.first?.fence == fence }
    }

    private mutating func endRepeat(_ exchange: Exchange) -> Repeat? {
        guard !underway.isEmpty, let fence = exchange.settlements.first?.fence,
            let index = underway.firstIndex(where: { $0.settlements.first?.fence == fence })
        else { return nil }
        return underway.remove(at: index)
    }
}

/// An outcome that could not be written, for the log.
public struct Trouble: Sendable, Equatable {
    public let messageID: Int64
    public let reason: String
}
