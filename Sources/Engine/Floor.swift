/// Where claims begin, and when to look below.
///
/// Claims go in `vt` order above the largest former `vt` that was claimed, so that they do not walk through the dead
/// versions of what is done. What a late commit, a rolled-back claim or a `vt` set into the past leaves below is
/// found by sweeps, graded and held to a share of the time.
public struct Floor: Sendable {
    public private(set) var value: Timestamp?
    /// What it was before it was dropped: for when a claim without any takes too long.
    private var former: Timestamp?
    /// What it was before it was lowered: for when all that is dead above the lower one takes too long.
    private var raised: Timestamp?
    /// The server's clock, and when it was told.
    private var lastClock: (time: Timestamp, heard: Instant)?
    /// A claim of everything takes too long here, or one above the floor that it left; and no better floor is known.
    private var isTooDeep = false
    /// Claims of a single message above the floor that took too long, one after the other.
    private var stuck = 0
    /// So many are no passing trouble of the server.
    private static let mostStuck = 3
    /// Since when claims ride although a sweep is due.
    private var passedOverSince: Instant?
    private var sweeps: [Sweep] = [
        Sweep(depth: .seconds(1), every: .milliseconds(50)),
        Sweep(depth: .seconds(60), every: .seconds(1)),
        // A transaction longer than a minute, under a load that never lets anybody fall asleep.
        Sweep(depth: .seconds(100 * 365 * 86_400), every: .seconds(30)),
    ]
    /// Producers that send at the same time commit in another order than that of their messages. Where claims take all
    /// there is they begin this far below, which costs a look at a few dead rows and saves waiting for a sweep.
    static let margin: Duration = .milliseconds(10)
    /// The last claim in order brought as many as it asked for: there is more above, and no looking back.
    private var isFull = false
    /// Faults to be planted by the simulation, which must catch them.
    package var isExclusive = false
    package var neverSweeps = false

    struct Sweep: Sendable {
        let depth: Duration
        let every: Duration
        var due: Instant?
    }

    /// How far back a claim of what is recent goes.
    package static let recent: Duration = .seconds(1)

    /// A sweep may take one part in this many of the time.
    static let share = 20

    public init() {}

    /// The claim to make now.
    ///
    /// - Parameter riding: it would ride behind a settlement; then it is never a sweep.
    package func claim(limit: Int, now: Instant, riding: Bool) -> Claim {
        guard let value else { return Claim(limit: limit, reach: isTooDeep ? .recent : .all, floor: nil) }
        if !riding, let sweep = dueSweep(now: now) { return below(sweep.depth, limit: limit) }
        let from = isFull ? value : value.lowered(by: Self.margin)
        let floor = isExclusive ? Timestamp(microseconds: value.microseconds + 1) : from
        return Claim(limit: limit, reach: .floor, floor: floor)
    }

    /// Whether a claim may ride now. Not for ever while a sweep is due: in a busy queue every place that comes free
    /// goes to a claim that rides.
    mutating func mayRide(now: Instant) -> Bool {
        guard value != nil else { return false }
        guard dueSweep(now: now) != nil else {
            passedOverSince = nil
            return true
        }
        let since = passedOverSince ?? now
        passedOverSince = since
        return now - since < sweeps[0].every
    }

    private func dueSweep(now: Instant) -> Sweep? {
        neverSweeps ? nil : sweeps.last { $0.due.map { $0 <= now } ?? true }
    }

    /// The sweep after a wake that found nothing, if its share of the time allows.
    func sweepAfterWake(limit: Int) -> Claim? {
        guard value != nil, !neverSweeps else { return nil }
        return below(sweeps[0].depth, limit: limit)
    }

    private func below(_ depth: Duration, limit: Int) -> Claim {
        guard let value else { return Claim(limit: limit, reach: .all, floor: nil) }
        return Claim(limit: limit, reach: .below(depth), floor: value.lowered(by: depth))
    }

    package mutating func claimed(_ claim: Claim, _ leases: [Lease], clock: Timestamp, took: Duration, now: Instant) {
        // Of two claims under way at once either may answer first: only one that was sent after an answer was heard
        // can show that the clock went back.
        if let lastClock, clock < lastClock.time {
            if now - took >= lastClock.heard {
                reset()
                former = nil
                self.lastClock = (clock, now)
                return
            }
        } else {
            lastClock = (clock, now)
        }
        stuck = 0
        // The server before a fail-over may have been ahead.
        former = former.map { min($0, clock) }
        raised = raised.map { min($0, clock) }
        if case .below(let depth) = claim.reach {
            for index in sweeps.indices where sweeps[index].depth <= depth {
                sweeps[index].due = now + max(sweeps[index].every, took * Self.share)
            }
        } else {
            isFull = leases.count >= claim.limit
        }
        switch claim.reach {
        case .all where leases.isEmpty:
            // Nothing was visible at all: what is to come lies above this moment, or is for the sweeps.
            value = max(value ?? clock, clock)
        case .recent:
            isTooDeep = false
            value = value ?? clock.lowered(by: Self.recent)
        case .all, .floor, .below, .only:
            break
        }
        guard let highest = leases.map(\.formerVT).max() else { return }
        if looksEverywhere(claim), leases.count >= claim.limit {
            // The lowest there were, in their order: all that is left lies above, even where that is lower than before.
            if let before = value ?? former, highest < before { raised = max(raised ?? before, before) }
            value = highest
            return
        }
        // One that began above the floor of now knows nothing of what lies between.
        guard let value else { return self.value = highest }
        if value < highest, (claim.floor ?? .distantPast) <= value { self.value = highest }
        if let raised, let value = self.value, raised <= value { self.raised = nil }
    }

    private func looksEverywhere(_ claim: Claim) -> Bool {
        switch claim.reach {
        case .all: true
        case .below(let depth): sweeps.allSatisfy { $0.depth <= depth }
        case .floor, .recent, .only: false
        }
    }

    /// A claim that failed: a sweep that takes too long must not be tried again and again before the claim that would
    /// succeed.
    package mutating func failed(_ claim: Claim, now: Instant) {
        switch claim.reach {
        case .below(let depth):
            for index in sweeps.indices where sweeps[index].depth <= depth {
                sweeps[index].due = now + sweeps[index].every * Self.share
            }
        case .all:
            if value == nil { value = former }
            // Of few as of many: it is what lies in front of them, and not their own number or size.
            isTooDeep = value == nil && claim.limit == 1
        case .floor:
            // One that began lower or higher, before the last answer, says nothing of this floor.
            guard let value, let began = claim.floor, (value.lowered(by: Self.margin)...value).contains(began) else {
                break
            }
            // What is left in between is for the sweeps.
            if let raised {
                self.value = max(value, raised)
                self.raised = nil
            } else if claim.limit == 1 {
                stuck += 1
                guard stuck >= Self.mostStuck else { break }
                stuck = 0
                former = max(value, former ?? value)
                self.value = nil
                isTooDeep = true
            }
        case .recent, .only:
            break
        }
    }

    /// After a reconnect the server may be another one, or have lost claims.
    package mutating func reset() {
        stuck = 0
        former = value.map { max($0, raised ?? $0) } ?? former
        value = nil
        raised = nil
        lastClock = nil
        for index in sweeps.indices { sweeps[index].due = nil }
    }
}

extension Timestamp {
    fileprivate func lowered(by duration: Duration) -> Timestamp {
        let (lower, overflow) = microseconds.subtractingReportingOverflow(duration.inMicroseconds)
        return overflow ? .distantPast : Timestamp(microseconds: lower)
    }
}
