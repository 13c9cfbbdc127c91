extension Flow {
    /// The next call about rows that no claim can take, if there is one.
    mutating func unclaimableJob(now: Instant) -> Job? {
        guard lifecycle.state == .running else { return nil }
        if let order = marks() { return .exchange(Exchange(unclaimable: order)) }
        // A row that is moved while it is being named would be named after it is gone.
        guard !isMarking, mayLook(now: now) else { return nil }
        // A claim by ids that brings less than its group leaves the rest of it in doubt: it is never cut short.
        switch unclaimable.step(room: min(freePlaces, policy.batchLimit), now: now) {
        case .list(var claim):
            claim.passingOver = unclaimable.passedOver
            return .list(claim)
        case .claim(let group):
            let claim = Claim(limit: group.count, reach: .only(group.map(\.messageID)), floor: nil)
            groupsAsked.append(group)
            return .exchange(Exchange(claim: reserve(claim)))
        case .move(let candidate, let reason):
            return .exchange(Exchange(unclaimable: .deadLetter(candidate, reason: "unclaimable: \(reason)")))
        case nil:
            return nil
        }
    }

    /// What is to be written down of rows that are passed over, for those who look from outside.
    private mutating func marks() -> UnclaimableOrder? {
        guard !isMarking, !unclaimable.isSearching, !isPaused(at: asked),
            !unclaimable.untold.isEmpty || !unclaimable.recovered.isEmpty
        else { return nil }
        isMarking = true
        let named = unclaimable.untold.sorted().compactMap { unclaimable.rows[$0] }
        return .mark(
            named.map { UnclaimableOrder.Mark(candidate: $0.candidate, reason: $0.reason) }
                + unclaimable.recovered.map { UnclaimableOrder.Mark(candidate: $0, reason: nil) }
        )
    }

    private func isPaused(at time: Instant?) -> Bool { time.map { isPaused(now: $0) } ?? false }

    public mutating func listed(_ result: Result<[Candidate], QueueFailure>, now: Instant) {
        switch result {
        case .success(let candidates):
            unclaimable.listed(candidates)
            // Nothing to search. After a look, what it sees is locked by another client, or gone. After a claim that was
            // refused, the refusal is no row's.
            if !unclaimable.isSearching, let reason = searchReason { takePause(reason, .claims, now: now) }
        case .failure(let failure):
            unclaimable.failed()
            claimRefused(failure, now: now)
        }
    }

    /// A claim that was sent by itself, and not by a search, has failed.
    mutating func claimRefused(_ failure: QueueFailure, now: Instant) {
        switch failure {
        case .exhausted(let reason):
            takePause(reason, .noRoom, now: now)
        case .unavailable(let reason), .overdue(let reason):
            takePause(reason, .database, now: now)
        case .busy(let reason, _):
            takePause(reason, .lock, now: now)
        case .refused(let reason):
            takePause(reason, .missing, now: now)
            unclaimable = UnclaimableRows()
        case .rejected(let reason), .conflict(let reason):
            takePause(reason, .claims, now: now)
        case .cancelled:
            break
        }
    }

    /// - Returns: whether the rows that this claim would have taken are looked at one by one now, because the failure may
    ///   be one row's.
    mutating func searches(_ claim: Claim, after failure: QueueFailure, now: Instant) -> Bool {
        if unclaimable.isSearching { return true }
        switch failure {
        case .rejected, .conflict:
            break
        case .busy(_, smaller: true), .overdue, .exhausted:
            // A server that is slow, or short of something, is more likely than a row that takes more than a call may.
            if case .overdue = failure { slowClaims += 1 }
            slowClaims += 1
            guard slowClaims > Self.mostSlowClaims else { return false }
            slowClaims = 0
        case .unavailable, .refused, .busy, .cancelled:
            return false
        }
        // After a search that found a common cause the queue pauses; the next one begins when the pause is over.
        var claim = claim
        claim.limit = max(1, min(policy.batchLimit, freePlaces))
        searchReason = failure.reason
        unclaimable.search(claim)
        return true
    }

    private static var mostSlowClaims: Int { 3 }

    mutating func completedGroup(_ exchange: Exchange, _ result: ExchangeResult, now: Instant) {
        guard let group = takeGroup(exchange) else { return }
        let found = Set(result.claimed.map(\.fence.messageID))
        slowClaims = 0
        endSearch(unclaimable.claimed(group, found: found, swallowed: result.swallowed, now: now), "", now: now)
    }

    mutating func failedGroup(_ exchange: Exchange, _ failure: QueueFailure, now: Instant) {
        guard let group = takeGroup(exchange) else { return }
        switch failure {
        case .rejected(let reason), .conflict(let reason), .overdue(let reason), .busy(let reason, smaller: true):
            endSearch(unclaimable.refused(group, reason: reason, now: now), reason, now: now)
        case .exhausted(let reason):
            // 53 is one row's where its text takes more memory than there is.
            endSearch(unclaimable.refused(group, reason: reason, now: now), reason, now: now)
        case .unavailable, .refused, .busy, .cancelled:
            unclaimable.failed()
            claimRefused(failure, now: now)
        }
    }

    private mutating func takeGroup(_ exchange: Exchange) -> [Candidate]? {
        guard case .only(let ids) = exchange.claim?.reach,
            let index = groupsAsked.firstIndex(where: { $0.map(\.messageID) == ids })
        else { return nil }
        return groupsAsked.remove(at: index)
    }

    private mutating func endSearch(_ isCommon: Bool, _ reason: String, now: Instant) {
        if isCommon {
            takePause(
                reason.isEmpty ? "claims change no row, because a trigger or a policy swallows every update" : reason,
                .claims,
                now: now
            )
        } else if !unclaimable.isSearching {
            pause = pause?.cause == .claims ? nil : pause
            attention.hint(now: now)
        }
    }

    mutating func completed(_ order: UnclaimableOrder, moved: Bool, now: Instant) {
        switch order {
        case .mark(let marks):
            isMarking = false
            let named = Set(marks.filter { $0.reason != nil }.map(\.candidate.messageID))
            unclaimable.told(named, recovered: marks.count - named.count)
        case .deadLetter(let candidate, _):
            unclaimable.moved(candidate, isGone: moved, now: now)
            guard moved else { return }
            counters.deadLettered += 1
            burials.append(Burial(messageID: candidate.messageID, deliveries: Int(candidate.readCount)))
        }
    }

    mutating func failed(_ order: UnclaimableOrder, _ failure: QueueFailure, now: Instant) {
        switch order {
        case .mark(let marks):
            isMarking = false
            // Not worth a word: the row itself is told in the log.
            if case .unavailable = failure { return }
            let named = Set(marks.filter { $0.reason != nil }.map(\.candidate.messageID))
            unclaimable.told(named, recovered: marks.count - named.count)
        case .deadLetter(let candidate, _):
            switch failure {
            case .rejected(let reason), .conflict(let reason), .exhausted(let reason), .overdue(let reason),
                .busy(let reason, smaller: true):
                unclaimable.couldNotMove(candidate, reason: reason, now: now)
            case .unavailable, .refused, .busy, .cancelled:
                unclaimable.failed()
                unclaimable.postpone(candidate, until: now + .seconds(1))
                claimRefused(failure, now: now)
            }
        }
    }
}
