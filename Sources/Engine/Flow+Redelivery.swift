import DequeModule

extension Flow {
    /// What was decided already about a message that has come back, now for its new lease.
    ///
    /// The old lease ended before its outcome could be written: the database was away, or the row locked. The work is
    /// not done again for that.
    mutating func decided(_ lease: Lease) -> Settlement? {
        // A first delivery has no earlier one.
        guard lease.delivery.isJournaled, unsettled > 0 else { return nil }
        guard let earlier = withdraw({ $0.stillStands(for: lease) }) else { return nil }
        return Settlement(delivery: lease.delivery, outcome: earlier.outcome, attempt: earlier.attempt)
    }

    private mutating func withdraw(_ matches: (Settlement) -> Bool) -> Settlement? {
        var found: Settlement?
        if let index = done.firstIndex(where: matches) {
            found = done.remove(at: index)
            if done.isEmpty { gatheringSince = nil }
        } else if let index = others.firstIndex(where: matches) {
            found = others.remove(at: index)
        } else if let item = again.firstIndex(where: { $0.settlements.contains(where: matches) }) {
            if let index = again[item].settlements.firstIndex(where: matches) {
                found = again[item].settlements.remove(at: index)
            }
            if again[item].settlements.isEmpty {
                if again[item].tries == 1 { firstRepeats -= 1 }
                again.remove(at: item)
            }
        } else {
            // Under way, and sure to be refused; that is no loss then.
            for settlements in inFlight {
                guard let settlement = settlements.first(where: matches) else { continue }
                passedOn.insert(settlement.fence)
                return settlement
            }
        }
        if let found, found.delivery.isJournaled { lost.append(found.delivery) }
        return found
    }
}

extension Settlement {
    /// Whether the message, claimed anew, shows that this has not happened, and would only come to it again.
    fileprivate func stillStands(for lease: Lease) -> Bool {
        guard fence.messageID == lease.fence.messageID, delivery.enqueuedAt == lease.delivery.enqueuedAt,
            fence != lease.fence
        else { return false }
        return switch outcome {
        case .done, .deadLetter: true
        case .retry: attempt.map { $0.number > lease.history.attempts } ?? false
        case .condemned: lease.history.condemned == nil
        case .snooze, .released: false
        }
    }
}
