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

    mutating func settled(_ exchange: Exchange, refused: Set<Fence>, now: Instant) {
        settling -= exchange.settlements.count
        landed(exchange.settlements)
        if !exchange.settlements.isEmpty { landings += 1 }
        if let item = endRepeat(exchange), item.tries == 1 { firstRepeats -= 1 }
        var moved: [Settlement] = []
        for index in exchange.settlements.indices {
            // Nearly all: without a copy of each.
            if refused.isEmpty, exchange.settlements[index].outcome == .done {
                counters.done += 1
                continue
            }
            let settlement = exchange.settlements[index]
            if !refused.isEmpty, refused.contains(settlement.fence) {
                if settlement.place != nil, !passedOn.contains(settlement.fence) {
                    moved.append(settlement.anywhere)
                } else {
                    refusedByFence(settlement)
                }
            } else {
                count(settlement)
                if let delay = settlement.outcome.putsOff { attention.putOff(until: now + delay) }
            }
        }
        if moved.isEmpty { return caution.settled(exchange.settlements) }
        caution.settled(exchange.settlements.filter { settlement in !moved.contains { $0.fence == settlement.fence } })
        put(moved, after: .zero, 1, now)
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
    ///
    /// - Returns: whether it is known to be the fault of these alone.
    mutating func unsettled(
        _ settlements: [Settlement],
        of exchange: Exchange,
        _ failure: QueueFailure,
        now: Instant
    ) -> Bool {
        guard !settlements.isEmpty else { return false }
        settling -= settlements.count
        landed(settlements)
        let earlier = endRepeat(exchange)
        if earlier?.tries == 1 { firstRepeats -= 1 }
        let tries = (earlier?.tries ?? 0) + 1
        let settlements = passedOn.isEmpty ? settlements : settlements.filter { passedOn.remove($0.fence) == nil }
        guard !settlements.isEmpty else { return false }
        switch failure {
        case .unavailable, .cancelled:
            let marked = settlements.map { settlement in
                var settlement = settlement.anywhere
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
            return foundNoRoom(settlements, failure, earlier, tries, now)
        case .busy(_, let smaller):
            let delay = grown(.milliseconds(20), times: tries, most: .seconds(1))
            if (smaller || tries > 2) && settlements.count > 1 {
                split(settlements, after: delay, tries, now)
            } else {
                put(settlements, after: delay, tries, now)
            }
        case .refused, .rejected, .conflict:
            if settlements.count > 1 {
                split(settlements, after: .zero, tries, now)
            } else {
                cannotSettle(
                    settlements[0],
                    failure,
                    tries: tries,
                    rejections: (earlier?.rejections ?? 0) + 1,
                    now: now
                )
            }
        }
        return false
    }

    /// A full disk is everybody's, and goes by. A limit that only some outcomes meet is theirs: others go through.
    private mutating func foundNoRoom(
        _ settlements: [Settlement],
        _ failure: QueueFailure,
        _ earlier: Repeat?,
        _ tries: Int,
        _ now: Instant
    ) -> Bool {
        // Not so long that a lease ends meanwhile, and its delivery is taken for a crash.
        let most = min(.seconds(10), policy.visibilityTimeout / 3)
        let delay = grown(.milliseconds(500), times: tries, most: most)
        let isOwnFault = earlier.map { $0.isOwnFault || $0.exhaustedAt.map { $0 < landings } ?? false } ?? false
        if isOwnFault, settlements.count > 1 {
            split(settlements, after: .zero, tries, now, exhaustedAt: landings)
        } else if isOwnFault {
            put(settlements, after: delay, tries, now, isOwnFault: true)
            troubles.append(Trouble(messageID: settlements[0].fence.messageID, reason: failure.reason))
        } else if tries > Self.patientTries, settlements.count > 1 {
            // One of them, another each time, shows whether there is room for one.
            put([settlements[0]], after: delay, tries, now, exhaustedAt: landings)
            put(Array(settlements[1...]), after: delay, tries, now, exhaustedAt: landings)
        } else {
            put(settlements, after: delay, tries, now, exhaustedAt: landings)
        }
        return isOwnFault
    }

    /// What was refused more often than this is not waited for by others.
    static var patientTries: Int { 3 }

    private mutating func split(
        _ settlements: [Settlement],
        after delay: Duration,
        _ tries: Int,
        _ now: Instant,
        exhaustedAt: Int? = nil
    ) {
        let half = settlements.count / 2
        put(Array(settlements[..<half]), after: delay, tries, now, exhaustedAt: exhaustedAt)
        put(Array(settlements[half...]), after: delay, tries, now, exhaustedAt: exhaustedAt)
    }

    private mutating func put(
        _ settlements: [Settlement],
        after delay: Duration,
        _ tries: Int,
        _ now: Instant,
        rejections: Int = 0,
        exhaustedAt: Int? = nil,
        isOwnFault: Bool = false
    ) {
        if tries == 1 { firstRepeats += 1 }
        if tries > Self.patientTries { caution.settled(settlements) }
        again.append(
            Repeat(
                settlements: settlements,
                notBefore: now + delay,
                tries: tries,
                rejections: rejections,
                exhaustedAt: exhaustedAt,
                isOwnFault: isOwnFault
            )
        )
    }

    /// How often a message that is done is refused by its archive, where that will not change.
    private static let mostRejections = 4

    /// One outcome by itself that the database will not take.
    private mutating func cannotSettle(
        _ settlement: Settlement,
        _ failure: QueueFailure,
        tries: Int,
        rejections: Int,
        now: Instant
    ) {
        var settlement = settlement
        switch settlement.outcome {
        case .deadLetter(let why):
            // Its dead-letter queue is gone or forbidden. The decision is kept in the journal, the message in its
            // queue, and the move is tried again with the next delivery, without another run.
            settlement.outcome = .condemned(reason: why, after: .seconds(60))
            put([settlement], after: .zero, tries + 1, now)
        case .done where failure.isConflict && rejections > Self.mostRejections:
            // The archive has its id already: it never goes through. Left as it is, the message would come back with its
            // lease's end and be done again, and again.
            settlement.outcome = .deadLetter(reason: "done, but not settled: \(failure.reason)")
            put([settlement], after: .zero, tries + 1, now)
        case .done, .retry, .snooze, .released, .condemned:
            // What is missing is missing for all; what is rejected is this one's own fault.
            if case .refused(let reason) = failure {
                takePause(reason, first: .seconds(2), most: .seconds(30), now: now)
            }
            // The last answer to a conflict comes while the lease lasts: after it the message would be done again.
            let first = failure.isConflict ? min(.seconds(1), policy.visibilityTimeout / 40) : .seconds(1)
            let delay = grown(first, times: rejections - 1, most: .seconds(30))
            put([settlement], after: delay, tries + 1, now, rejections: rejections)
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
