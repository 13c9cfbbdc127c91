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

    mutating func batch(from box: WritableKeyPath<Flow, Deque<Settlement>>, now: Instant) -> [Settlement] {
        let count = min(self[keyPath: box].count, policy.batchLimit)
        let batch = Array(self[keyPath: box].prefix(count))
        self[keyPath: box].removeFirst(count)
        if box == \.done { gatheringSince = nil }
        settling += count
        if count > 0 { inFlight.append(batch) }
        if box == \.others { noteLateRenewals(of: batch, now: now) }
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
        var item = again.remove(at: index)
        if let due = item.echoDue {
            item.settlements = item.settlements.map { $0.delayed(by: max(.zero, due - now)) }
        }
        settling += item.settlements.count
        underway.append(item)
        inFlight.append(item.settlements)
        noteLateRenewals(of: item.settlements, now: now)
        return .exchange(Exchange(settlements: item.settlements))
    }

    /// What is sent now while a renewal of the same lease is on its way may be undone by it.
    private mutating func noteLateRenewals(of settlements: [Settlement], now: Instant) {
        // A queue that is upgraded meanwhile has fences of both kinds.
        for settlement in settlements where settlement.outcome.isDelaying {
            if let end = lateRenewals.end(of: settlement.fence, now: now) { echoes[settlement.fence] = end }
        }
    }

    mutating func settled(_ exchange: Exchange, _ result: ExchangeResult, now: Instant) {
        guard !exchange.settlements.isEmpty else { return }
        settling -= exchange.settlements.count
        landed(exchange.settlements)
        let hasWritten = exchange.settlements.count > result.refused.count
        if hasWritten { landings += 1 }
        let item = endRepeat(exchange)
        if item?.tries == 1 { firstRepeats -= 1 }
        if let due = item?.echoDue {
            // A renewal may have hidden it until now, and nobody rings for that.
            return attention.putOff(until: max(due, now))
        }
        let refused = result.refused
        var moved: [Settlement] = []
        var kept: [Settlement] = []
        for index in exchange.settlements.indices {
            // Nearly all: without a copy of each.
            if refused.isEmpty, exchange.settlements[index].outcome == .done {
                counters.done += 1
                continue
            }
            let settlement = exchange.settlements[index]
            if refused.isEmpty || !refused.contains(settlement.fence) {
                landed(settlement, now: now)
            } else if settlement.place != nil, !passedOn.contains(settlement.fence) {
                moved.append(settlement.anywhere)
            } else if result.kept.contains(settlement.fence), !passedOn.contains(settlement.fence) {
                kept.append(settlement)
            } else {
                refusedByFence(settlement)
            }
        }
        endPause(after: result)
        if moved.isEmpty, kept.isEmpty { return caution.settled(exchange.settlements) }
        let open = Set((moved + kept).map(\.fence))
        caution.settled(exchange.settlements.filter { !open.contains($0.fence) })
        put(Repeat(settlements: moved, notBefore: now, tries: 1))
        guard !kept.isEmpty else { return }
        // Their leases end soon, and the messages would run again.
        renewAt = now
        var stuck = Repeat(settlements: kept, notBefore: now, tries: (item?.tries ?? 1) + 1, isStuck: true)
        stuck.refusedAt = item?.refusedAt ?? landings
        // While others are let go, it is these messages' own fault, and stops nobody else.
        stuck.isOwnFault = item?.isOwnFault ?? false || hasWritten || stuck.refusedAt.map { $0 < landings } ?? false
        if stuck.isOwnFault {
            for settlement in kept {
                troubles.append(Trouble(messageID: settlement.fence.messageID, reason: Self.keptReason))
            }
        } else {
            takePause(Self.keptReason, .kept, now: now)
        }
        stuck.notBefore = now + (stuck.isOwnFault ? .seconds(10) : Pause.Cause.kept.bounds.first)
        put(stuck)
    }

    static var keptReason: String {
        "settlements change no row, although the rows still carry our fence; look for a trigger or a row-level security "
            + "policy that swallows them (`pgmqd check --connect`)"
    }

    private mutating func landed(_ settlement: Settlement, now: Instant) {
        count(settlement)
        guard settlement.outcome.isDelaying else { return }
        if let delay = settlement.outcome.putsOff { attention.putOff(until: now + delay) }
        guard settlement.fence.source.outlivesDelay else { return }
        let known = echoes.removeValue(forKey: settlement.fence)
        // Answered meanwhile, it cannot land any more; but it may have landed behind.
        guard let end = lateRenewals.end(of: settlement.fence, now: now) ?? known.map({ _ in now }) else { return }
        let due = now + (settlement.outcome.putsOff ?? .zero)
        put(Repeat(settlements: [settlement], notBefore: end, tries: 2, echoDue: due))
    }

    /// What pauses the queue for its outcomes ends with the first that is written.
    private mutating func endPause(after result: ExchangeResult) {
        guard result.kept.isEmpty, let cause = pause?.cause else { return }
        switch cause {
        case .outcomes: pause = nil
        case .kept where stuckForAll == 0: pause = nil
        case .kept, .noRoom, .database, .lock, .missing, .claims, .handler: break
        }
    }

    private mutating func refusedByFence(_ settlement: Settlement) {
        echoes[settlement.fence] = nil
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

    mutating func landed(_ settlements: [Settlement]) {
        guard let fence = settlements.first?.fence else { return }
        inFlight.removeAll { $0.first?.fence == fence }
    }

    mutating func endRepeat(_ exchange: Exchange) -> Repeat? {
        guard !underway.isEmpty, let fence = exchange.settlements.first?.fence,
            let index = underway.firstIndex(where: { $0.settlements.first?.fence == fence })
        else { return nil }
        return underway.remove(at: index)
    }
}
