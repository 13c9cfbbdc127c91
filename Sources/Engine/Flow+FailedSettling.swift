/// Decides what happens to settlements whose transaction failed.
///
/// Whose fault it is, is observed. A batch is sent again in halves, so that one bad outcome is found and holds none of the
/// others back. What is refused alone while others pass is that outcome's own fault. When three in a row are refused
/// alone and none passes, the cause is the database's: the rest stays together, the queue pauses, and one of them at a
/// time shows whether it is over.
extension Flow {
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
        let settlements = passedOn.isEmpty ? settlements : settlements.filter { !isPassedOn($0) }
        guard !settlements.isEmpty else { return false }
        var item = earlier ?? Repeat(settlements: settlements, notBefore: now, tries: 0)
        item.settlements = settlements
        item.tries += 1
        switch failure {
        case .unavailable, .overdue, .cancelled:
            item.settlements = settlements.map { settlement in
                var settlement = settlement.anywhere
                settlement.mayHaveHappened = true
                return settlement
            }
            put(
                item,
                after: item.tries == 1 ? .zero : grown(.milliseconds(20), times: item.tries, most: .seconds(1)),
                now
            )
        case .exhausted:
            return foundNoRoom(item, failure, now)
        case .busy(_, let smaller):
            let delay = grown(.milliseconds(20), times: item.tries, most: .seconds(1))
            if (smaller || item.tries > 2) && settlements.count > 1 {
                split(item, after: delay, now)
            } else {
                put(item, after: delay, now)
            }
        case .refused where exchange.claim != nil, .rejected where exchange.claim != nil,
            .conflict where exchange.claim != nil:
            // The claim that rode along may be what was refused: apart from it they show whether they are.
            put(item, after: .zero, now)
        case .refused where !item.isOrdinary, .rejected where !item.isOrdinary, .conflict where !item.isOrdinary:
            // Written once already, or kept by the database: it is neither divided nor taken for another's fault.
            put(item, after: .seconds(1), now)
        case .refused, .rejected, .conflict:
            if item.exhaustedAt == landings, !item.isOwnFault, isCommonCause {
                // Known to be everybody's, and nothing has passed since.
                hold(item, failure, now)
            } else if settlements.count > 1 {
                split(item, after: .zero, now)
            } else {
                item.isOwnFault = item.isOwnFault || item.refusedAt.map { $0 < landings } ?? false
                item.refusedAt = item.refusedAt ?? landings
                // A reason that may only be in the wrong encoding says nothing of others.
                if !failure.isConflict, !item.isOwnFault, failure.isMissing || settlements[0].inASCII == settlements[0],
                    refusedAlone(settlements[0])
                {
                    hold(item, failure, now)
                    return false
                }
                item.rejections += 1
                cannotSettle(item, failure, now)
            }
        }
        return false
    }

    /// Drops a settlement whose outcome a new lease of the same message carries.
    private mutating func isPassedOn(_ settlement: Settlement) -> Bool {
        guard passedOn.remove(settlement.fence) != nil else { return false }
        if settlement.delivery.isJournaled { lost.append(settlement.delivery) }
        return true
    }

    // MARK: - Everybody's fault

    /// So many outcomes refused alone, none having passed, have one cause.
    private static var common: Int { 3 }

    private var isCommonCause: Bool {
        refusedAlone.landings == landings && refusedAlone.messages.count >= Self.common
    }

    /// - Returns: whether the cause is common to all outcomes.
    private mutating func refusedAlone(_ settlement: Settlement) -> Bool {
        if refusedAlone.landings != landings { refusedAlone = ([], landings) }
        refusedAlone.messages.insert(settlement.fence.messageID)
        return isCommonCause
    }

    /// Keeps together what nothing passes of, and sends it again later: no message is told of by itself.
    private mutating func hold(_ item: Repeat, _ failure: QueueFailure, _ now: Instant) {
        var held: [Settlement] = []
        let kin = again.indices.filter { again[$0].isOrdinary && !again[$0].isOwnFault }
        for index in kin.reversed() {
            let other = again.remove(at: index)
            if other.tries == 1 { firstRepeats -= 1 }
            held += other.settlements
        }
        held += item.settlements
        takePause(failure.reason, .outcomes, most: failure.isMissing ? Pause.Cause.missing.bounds.most : nil, now: now)
        // One message that is new may be claimed before it: where all that is in hand is bad, only that one can show that
        // others pass.
        let next = (pause?.until ?? now) + (item.tries > Self.patientTries ? .milliseconds(100) : .zero)
        // One of them, another each time, shows whether it is over; for a batch one bad outcome would be enough to fail.
        let probe = Repeat(settlements: [held.removeFirst()], notBefore: next, tries: item.tries, exhaustedAt: landings)
        put(probe)
        var left = held[...]
        while !left.isEmpty {
            let batch = Array(left.prefix(policy.batchLimit))
            left = left.dropFirst(batch.count)
            put(
                Repeat(settlements: batch, notBefore: next + .milliseconds(1), tries: item.tries, exhaustedAt: landings)
            )
        }
    }

    /// A full disk is everybody's, and goes by. A limit that only some outcomes meet is theirs: others go through.
    private mutating func foundNoRoom(_ item: Repeat, _ failure: QueueFailure, _ now: Instant) -> Bool {
        var item = item
        // Not so long that a lease ends meanwhile, and its delivery is taken for a crash.
        let most = min(.seconds(10), policy.visibilityTimeout / 3)
        let delay = grown(.milliseconds(500), times: item.tries, most: most)
        item.isOwnFault = item.isOwnFault || item.exhaustedAt.map { $0 < landings } ?? false
        item.exhaustedAt = item.isOwnFault && item.settlements.count == 1 ? nil : landings
        if item.isOwnFault, item.settlements.count > 1 {
            let isOwnFault = item.isOwnFault
            item.isOwnFault = false
            split(item, after: .zero, now)
            return isOwnFault
        }
        if item.isOwnFault {
            troubles.append(Trouble(messageID: item.settlements[0].fence.messageID, reason: failure.reason))
        } else if item.tries > Self.patientTries, item.settlements.count > 1 {
            // One of them, another each time, shows whether there is room for one.
            var probe = item
            probe.settlements = [item.settlements[0]]
            put(probe, after: delay, now)
            item.settlements.removeFirst()
        }
        put(item, after: delay, now)
        return item.isOwnFault
    }

    // MARK: - One outcome's fault

    /// How often a message that is done is refused by its archive, where that will not change.
    private static var mostRejections: Int { 4 }

    /// Handles one outcome that the database refuses although it was sent alone.
    private mutating func cannotSettle(_ item: Repeat, _ failure: QueueFailure, _ now: Instant) {
        var item = item
        var settlement = item.settlements[0]
        let reasonInASCII = settlement.inASCII
        if reasonInASCII != settlement, !failure.isMissing {
            // Perhaps the database's encoding does not know its characters.
            item.settlements = [reasonInASCII]
            return put(item, after: .zero, now)
        }
        var delay = Duration.zero
        switch settlement.outcome {
        case .deadLetter(let why):
            // The dead-letter queue does not take it. The decision is kept in the journal, the message in its queue, and
            // the move is repeated with the next delivery, without another run. What is missing pauses the queue, so
            // that the message is looked at as soon as it is there again.
            settlement.outcome = .condemned(reason: why, after: failure.isMissing ? .seconds(1) : .seconds(60))
            item.rejections = 0
        case .done where failure.isConflict && item.rejections > Self.mostRejections:
            // The archive has its id already: it never goes through. Left as it is, the message would come back with its
            // lease's end and be done again, and again.
            settlement.outcome = .deadLetter(reason: "done, but not settled: \(failure.reason)")
            item.rejections = 0
        case .done, .retry, .snooze, .released, .condemned:
            if failure.isMissing {
                delay = Pause.Cause.missing.bounds.first
                takePause(failure.reason, .outcomes, most: delay, now: now)
            } else {
                // The last answer to a conflict comes while the lease lasts: after it the message would be done again.
                let first = failure.isConflict ? min(.seconds(1), policy.visibilityTimeout / 40) : .seconds(1)
                delay = grown(first, times: item.rejections - 1, most: .seconds(30))
            }
        }
        item.settlements = [settlement]
        item.tries += 1
        put(item, after: delay, now)
        if !failure.isMissing {
            troubles.append(Trouble(messageID: settlement.fence.messageID, reason: failure.reason))
        }
    }

    // MARK: - Once more

    /// What was refused more often than this is not waited for by others.
    static var patientTries: Int { 3 }

    private mutating func split(_ item: Repeat, after delay: Duration, _ now: Instant) {
        var (first, second) = (item, item)
        let half = item.settlements.count / 2
        first.settlements = Array(item.settlements[..<half])
        second.settlements = Array(item.settlements[half...])
        // In front of the others: so the first single outcome is reached after as many steps as there are halvings, and
        // not after all others have been halved as often.
        put(second, after: delay, now, first: true)
        put(first, after: delay, now, first: true)
    }

    private mutating func put(_ item: Repeat, after delay: Duration, _ now: Instant, first: Bool = false) {
        var item = item
        item.notBefore = now + delay
        put(item, first: first)
    }

    mutating func put(_ item: Repeat, first: Bool = false) {
        guard !item.settlements.isEmpty else { return }
        if item.tries == 1 { firstRepeats += 1 }
        if item.tries > Self.patientTries { caution.settled(item.settlements) }
        again.insert(item, at: first ? 0 : again.count)
    }
}

extension Repeat {
    /// The database neither keeps its messages nor has written them once already.
    fileprivate var isOrdinary: Bool { !isStuck && echoDue == nil }
}

/// An outcome that could not be written, for the log.
public struct Trouble: Sendable, Equatable {
    public let messageID: Int64
    public let reason: String
}
