/// What a connection is to be used for next.
public enum Job: Sendable, Equatable {
    case exchange(Exchange)
    case closePhantoms(holding: [Delivery])
    case register
    case unregister
    case probe(besides: Bool, passingOver: [Int64])
    case list(Claim)
    case watch(passingOver: [Int64])
}

extension Flow {
    /// The next piece of database work, or nil: ask again after the next event or ``nextAlarm()``.
    ///
    /// Several may be under way at once; each is answered by one of the functions below.
    public mutating func nextJob(now: Instant) -> Job? {
        restUntil = nil
        asked = now
        noteLeft(now: now)
        if isHalted { return nil }
        if let job = repeatedSettlement(now: now) { return job }
        let gathers = gathers(now: now)
        // For other daemons an open row of what was lost is a crash.
        if passedOver >= Self.mostPassedOver || !lost.isEmpty, let job = settleOthers(now: now) { return job }
        if !done.isEmpty, !gathers { return settleDone(now: now) }
        if let job = settleOthers(now: now) { return job }
        if let job = phantoms(now: now) { return job }
        if let job = suspectToBegin(now: now) { return job }
        if gathers {
            let since = gatheringSince ?? now
            if !done.isEmpty { gatheringSince = since }
            restUntil = done.isEmpty ? nil : since + Self.patience
            return nil
        }
        if let job = unclaimableJob(now: now) { return job }
        guard !unclaimable.isSearching, mayClaim(now: now) else { return nil }
        return lookForWork(now: now)
    }

    private mutating func settleDone(now: Instant) -> Job {
        if !others.isEmpty { passedOver += 1 }
        return .exchange(Exchange(settlements: batch(from: \.done, now: now), claim: claim(riding: true, now: now)))
    }

    private mutating func settleOthers(now: Instant) -> Job? {
        let losses = lossesToClose(now: now)
        guard !others.isEmpty || !losses.isEmpty else { return nil }
        passedOver = 0
        return .exchange(Exchange(settlements: batch(from: \.others, now: now), lost: losses))
    }

    /// In a flood there is always something done to settle, and the leases of the others end meanwhile.
    private static let mostPassedOver = 4

    /// In a flood a transaction waits until it is worth its price: a full batch of outcomes to write, and as many
    /// places to claim for. Only while the workers have enough to go on with, and never for long.
    func gathers(now: Instant) -> Bool {
        lifecycle.state == .running && prefetch.places >= policy.batchLimit && !ready.isEmpty
            && done.count < policy.batchLimit
            && (reserved > 0 || ready.count > capacity / 2)
            && gatheringSince.map { now < $0 + Self.patience } ?? true
    }

    /// Cheap: the alarm is set, and there is nothing to ask for until it rings or the batch is full.
    func isGathering(now: Instant) -> Bool {
        gatheringSince != nil && !done.isEmpty && others.isEmpty && gathers(now: now)
    }

    static var patience: Duration { .milliseconds(10) }

    private mutating func lookForWork(now: Instant) -> Job? {
        let step = attention.step(now: now, interval: interval)
        attention.began(step, now: now)
        switch step {
        case .claim:
            return .exchange(Exchange(claim: reserve(floor.claim(limit: claimLimit, now: now, riding: false))))
        case .sweep:
            let limit = claimLimit
            let claim = floor.sweepAfterWake(limit: limit) ?? floor.claim(limit: limit, now: now, riding: false)
            return .exchange(Exchange(claim: reserve(claim)))
        case .claimAll:
            return .exchange(Exchange(claim: reserve(Claim(limit: claimLimit, reach: .all, floor: nil))))
        case .register:
            return .register
        case .unregister:
            return .unregister
        case .probe:
            return .probe(besides: attention.looksBesides, passingOver: unclaimable.passedOver)
        case .watch:
            return .watch(passingOver: unclaimable.passedOver)
        case .rest(let until):
            restUntil = until
            return nil
        }
    }

    /// A claim that goes along with a settlement, if there is reason for one.
    private mutating func claim(riding: Bool, now: Instant) -> Claim? {
        guard !unclaimable.isSearching, mayClaim(now: now), floor.mayRide(now: now),
            attention.step(now: now, interval: interval, riding: true) == .claim
        else { return nil }
        attention.began(.claim, now: now)
        return reserve(floor.claim(limit: claimLimit, now: now, riding: true))
    }

    func mayClaim(now: Instant) -> Bool { !unclaimable.isFull && mayLook(now: now) }

    /// Whether rows that no claim can take may be looked at. So many of them that nothing else is claimed are looked at
    /// all the same, because that is how they become fewer.
    func mayLook(now: Instant) -> Bool {
        lifecycle.state == .running && !isPaused(now: now) && !caution.isActive && stuckForAll == 0
            && !waitsForRenewal(now: now)
            && !closingPhantoms && freePlaces > 0
            && (held == 0 || bytesLeft >= bytesEach)
            && !largestWaits && !hasPhantoms && (closePhantomsAt.map { now < $0 } ?? true)
            // A settlement whose transaction failed goes before any claim, once.
            && firstRepeats == 0 && (!isFull || mayProbeRoom)
    }

    /// There was no room for an outcome, and none has gone through since: nor would those of what is claimed now.
    private var isFull: Bool { lacksRoom(again) || lacksRoom(underway) }

    private func lacksRoom(_ repeats: [Repeat]) -> Bool { repeats.contains { $0.exhaustedAt == landings } }

    /// Where only what has been tried for long is left to show whether there is room, one new message may.
    private var mayProbeRoom: Bool {
        held == 0 && underway.isEmpty && again.allSatisfy { $0.tries > Self.patientTries }
            && unsettled == again.reduce(0) { $0 + $1.settlements.count }
    }

    mutating func reserve(_ claim: Claim) -> Claim {
        var claim = claim
        if case .only = claim.reach {} else { claim.passingOver = unclaimable.passedOver }
        claim.bytesEach = max(1, claimBytes / claim.limit)
        reserved += claim.limit
        reservedBytes += claim.limit * claim.bytesEach
        return claim
    }

    private mutating func unreserve(_ claim: Claim) {
        reserved -= claim.limit
        reservedBytes -= claim.limit * claim.bytesEach
    }

    /// What one claim may bring.
    private var claimBytes: Int { min(bytesLeft, policy.maxInflightBytes / 4) }

    var freePlaces: Int {
        // Outcomes that the database is slow to take hold no place, but there is an end to it.
        unsettled > 10 * policy.batchLimit ? 0 : capacity - held
    }

    /// Of what may be held. A claim under way may bring as many as it was allowed.
    var bytesLeft: Int { policy.maxInflightBytes - heldBytes - reservedBytes }

    private var claimLimit: Int {
        if caution.claimsSingly || fault != nil || isFull || renewalFailures > 0 { return 1 }
        // So few that messages of the usual size need not be read apart.
        return max(1, min(freePlaces, policy.batchLimit, claimCap, claimBytes / (2 * bytesEach)))
    }

    /// The safety interval, with a tenth of jitter either way: daemons do not poll in step.
    var interval: Duration {
        attention.isRung ? policy.pollInterval : policy.deafPollInterval
    }

    func isPaused(now: Instant) -> Bool {
        (pause.map { now < $0.until } ?? false) || (fault.map { now < $0.until } ?? false)
    }

    // MARK: - Answers

    public mutating func completed(_ exchange: Exchange, _ result: ExchangeResult, now: Instant) {
        defer { noteLeft(now: now) }
        isAway = false
        serverClock = (result.clock, result.sent)
        settled(exchange, result, now: now)
        losing -= exchange.lost.count
        if let suspect = exchange.begins { began(suspect, refused: result.refused) }
        if let order = exchange.unclaimable { completed(order, moved: result.moved, now: now) }
        if pause?.cause == .database { pause = nil }
        guard let claim = exchange.claim else { return }
        unreserve(claim)
        // One that found nothing has not shown what can be had in time.
        if claimCap < .max, !result.claimed.isEmpty { claimCap = claimCap < policy.batchLimit ? claimCap * 2 : .max }
        if case .only = claim.reach {
            completedGroup(exchange, result, now: now)
        } else {
            if !isHeldUp, pause?.cause != .claims || !result.claimed.isEmpty { (pause, pauses) = (nil, 0) }
            let took = now - result.sent
            floor.claimed(claim, result.claimed, clock: result.clock, took: took, now: now)
            attention.claimed(result.claimed.count, of: claim.limit, reach: claim.reach, took: took, now: now)
            if !result.claimed.isEmpty {
                slowClaims = 0
                unclaimable.othersPassed()
            }
            if attention.isFutile, !unclaimable.isSearching {
                searchReason = nil
                unclaimable.search(claim)
            }
        }
        accept(result.claimed, until: result.sent + policy.visibilityTimeout, now: now)
    }

    public mutating func failed(_ exchange: Exchange, _ failure: QueueFailure, now: Instant) {
        defer { noteLeft(now: now) }
        let isAlone = exchange.settlements.isEmpty
        if let claim = exchange.claim {
            unreserve(claim)
            switch failure {
            case .busy(_, smaller: true), .overdue:
                claimCap = max(1, claim.limit / 2)
            case .unavailable, .busy, .exhausted, .refused, .rejected, .conflict, .cancelled:
                break
            }
            if case .only = claim.reach {
                failedGroup(exchange, failure, now: now)
            } else {
                // In company it may have been the other that took too long.
                if case .busy(_, smaller: true) = failure, isAlone { floor.failed(claim, now: now) }
                attention.claimed(nil, of: claim.limit, reach: claim.reach, took: .zero, now: now)
            }
            if failure.isUnknown {
                floor.reset()
                phantomsUntil = now + policy.visibilityTimeout / 3
                closePhantomsAt = now
                hasPhantoms = true
            }
        }
        if let suspect = exchange.begins { caution.couldNotOpen(suspect) }
        if let order = exchange.unclaimable { failed(order, failure, now: now) }
        if !exchange.lost.isEmpty {
            losing -= exchange.lost.count
            lost += exchange.lost
            loseAgainAt = now + .milliseconds(200)
        }
        let isOwnFault = unsettled(exchange.settlements, of: exchange, failure, now: now)
        // What failed in company is sent apart next, and then shows whose fault it was.
        switch failure {
        case .exhausted where isOwnFault:
            break
        case .unavailable, .overdue:
            claimRefused(failure, now: now)
        case .exhausted where !isAlone:
            claimRefused(failure, now: now)
        case .exhausted, .busy, .refused, .rejected, .conflict, .cancelled:
            guard isAlone, exchange.unclaimable == nil else { break }
            if case .only = exchange.claim?.reach { break }
            if let claim = exchange.claim, searches(claim, after: failure, now: now) { break }
            claimRefused(failure, now: now)
        }
    }

    /// The pause is for outcomes: it ends with the first that is written, and not with a claim.
    private var isHeldUp: Bool { pause?.cause == .outcomes || pause?.cause == .kept && stuckForAll > 0 }

    /// A pause grows once for each round that ends in it: several calls of a round find out at the same time.
    ///
    /// - Parameter most: the longest it becomes, where that is not the cause's own.
    mutating func takePause(_ reason: String, _ cause: Pause.Cause, most: Duration? = nil, now: Instant) {
        if let pause, pause.cause == cause, now < pause.until {
            self.pause?.reason = reason
            return
        }
        pauses = pause?.cause == cause ? pauses + 1 : 1
        let (first, longest) = cause.bounds
        let delay = grown(first, times: pauses - 1, most: most ?? longest)
        pause = Pause(until: now + delay, reason: reason, cause: cause)
    }

    mutating func grown(_ first: Duration, times: Int, most: Duration) -> Duration {
        var delay = first
        var left = times
        while left > 0, delay < most {
            delay = delay * 2
            left -= 1
        }
        return min(delay, most) * (0.75 + 0.5 * random.draw())
    }

    public mutating func registered(_ heard: Bool?, now: Instant) {
        attention.registered(heard, now: now)
    }

    public mutating func unregistered() {
        attention.unregistered()
    }

    public mutating func probed(_ probe: Probe?, now: Instant) {
        // Whatever no claim could take is not there any more.
        if pause?.cause == .claims, probe?.hasVisible == false { (pause, pauses) = (nil, 0) }
        attention.probed(probe, interval: interval * (0.9 + 0.2 * random.draw()), now: now)
    }

    public mutating func watched(_ watched: Watched?, took: Duration, now: Instant) {
        attention.watched(watched, took: took, now: now)
    }

    // MARK: - Phantoms

    /// Claims whose reply never came may have been committed. Their journal rows are closed, so that they count no
    /// crash: before the next claim, and once more when the server can no longer be at it.
    private mutating func phantoms(now: Instant) -> Job? {
        // A claim still under way has opened rows that are not known here.
        guard let closePhantomsAt, closePhantomsAt <= now, !closingPhantoms, reserved == 0 else { return nil }
        closingPhantoms = true
        closingSince = now
        return .closePhantoms(holding: heldDeliveries)
    }

    public mutating func closedPhantoms(_ failure: QueueFailure?, now: Instant) {
        closingPhantoms = false
        defer { noteLeft(now: now) }
        guard failure == nil else {
            // A stop does not wait for a database that is away.
            closePhantomsAt = isStopping ? nil : now + .milliseconds(200)
            return
        }
        hasPhantoms = false
        if let phantomsUntil, (closingSince ?? now) < phantomsUntil {
            closePhantomsAt = phantomsUntil
            self.phantomsUntil = nil
        } else {
            closePhantomsAt = nil
            phantomsUntil = nil
        }
    }

    private var heldDeliveries: [Delivery] {
        ready.map(\.lease.delivery) + runs.compactMap { $0?.lease.delivery }
            + [caution.suspect?.delivery].compactMap { $0 }
            + done.map(\.delivery) + others.map(\.delivery)
            + again.flatMap { $0.settlements.map(\.delivery) }
    }
}
