import Engine
import QueueModel

/// What has happened to every message, told by what was committed; and what must never happen.
///
/// It keeps books of its own: nothing here asks a flow or the model what it thinks.
struct Ledger {
    enum End: Equatable {
        case open
        case done
        case dead
        /// Deleted by somebody else, or gone with an unlogged queue.
        case gone
        /// Its sender rolled back.
        case neverSent
    }

    struct Token {
        var nature: Nature
        var end = End.open
        var isCommitted = false
        /// When it could first have been claimed since it last became visible.
        var waitingSince: Int64 = 0
        var runs = 0
        var failures = 0
        var snoozes = 0
        var successes = 0
        var recorded = 0
        /// Somebody moved its visibility timeout: leases of it mean nothing.
        var isTampered = false
    }

    struct ClaimInfo {
        var incarnation: Int
        var clock: Timestamp
        /// Deliveries before this one that did end with their process.
        var deaths: Int
        var epoch: Int
    }

    struct Success: Hashable {
        var token: Int
        var incarnation: Int
    }

    struct ActiveRun {
        var token: Int
        var daemon: Int
        var incarnation: Int
        var worker: Int
        var fence: Fence
        /// On the server's clock, as the server promised it.
        var leaseEnd: Timestamp
        var epoch: Int
        var isCancelled = false
    }

    let plan: Plan
    var tokens: [Token] = []
    var open = 0
    var claims: [Fence: ClaimInfo] = [:]
    var active: [ActiveRun] = []
    /// Messages of which a run returned success, and in which daemon: it may settle a later delivery with that.
    var successes: Set<Success> = []
    var settled: Set<Fence> = []
    var attempts: Set<Fence> = []
    /// Of each incarnation: it died with its work.
    var died: [Bool] = []
    var lastTrouble: [Int64] = []
    var unfloored = 0
    /// The highest floor there can be: a former `vt` that was claimed, or when there was nothing to claim.
    var highestVT = Timestamp.distantPast
    var violation: String?

    init(plan: Plan) {
        self.plan = plan
    }

    mutating func fail(_ text: String) {
        if violation == nil { violation = text }
    }

    static func body(of token: Int, nature: Nature, limit: Int) -> [UInt8] {
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: token >> (8 * $0)) }
        switch nature {
        case .oversized: return bytes + Array(repeating: 0, count: limit)
        case .unclaimable: return bytes + [1]
        case .immovable: return bytes + [2]
        case .unchangeable: return bytes + [3]
        default: return bytes
        }
    }

    static func trait(of body: [UInt8]) -> RowTrait {
        guard body.count == 5 else { return .ordinary }
        return switch body[4] {
        case 1: .refusesClaims
        case 2: .refusesAll
        default: .swallowsUpdates
        }
    }

    static func token(of body: [UInt8]) -> Int {
        (0..<4).reduce(0) { $0 | Int(body[$1]) << (8 * $1) }
    }

    // MARK: - What is committed

    mutating func end(_ token: Int, _ end: End) {
        guard tokens[token].end == .open else {
            return fail("message \(token) ended as \(end), and had ended as \(tokens[token].end)")
        }
        tokens[token].end = end
        if tokens[token].isCommitted { open -= 1 }
    }

    mutating func committed(_ token: Int, visibleAt time: Int64) {
        // A row that can be neither claimed nor copied stays.
        guard tokens[token].nature != .immovable else { return }
        tokens[token].isCommitted = true
        tokens[token].waitingSince = time
        open += 1
    }

    mutating func saw(_ fact: Fact, incarnation: Int, epoch: Int, clock: Timestamp, now: Int64, journal: Journal) {
        switch fact {
        case .settled(let settlement, let body, let holder):
            sawSettled(settlement, token: Self.token(of: body), holder: holder, now: now, journal: journal)
        case .renewed(let fence, let holder, let from, let to):
            if fence != holder { fail("a stale renewal of \(fence) changed the lease of \(holder)") }
            if to < from { fail("a renewal lowered a vt: \(fence)") }
            if settled.contains(fence), !fence.source.outlivesDelay {
                fail("a renewal of \(fence) landed behind the settlement that had ended the lease")
            }
            let promised = clock.advanced(by: plan.policy.visibilityTimeout)
            for index in active.indices where active[index].fence == fence { active[index].leaseEnd = promised }
        case .claimed(let lease, _):
            sawClaimed(lease, incarnation: incarnation, epoch: epoch, clock: clock, now: now, journal: journal)
        case .removed(let body):
            end(Self.token(of: body), .gone)
        case .moved(let body):
            let token = Self.token(of: body)
            switch tokens[token].nature {
            case .unclaimable, .unchangeable: break
            default: fail("message \(token) was dead-lettered unread, and nothing was wrong with its row")
            }
            end(token, .dead)
        }
    }

    private mutating func sawSettled(
        _ settlement: Settlement,
        token: Int,
        holder: Fence,
        now: Int64,
        journal: Journal
    ) {
        let fence = settlement.fence
        if fence != holder { fail("a stale settlement of \(fence) changed the message, which \(holder) has") }
        settled.insert(fence)
        if let attempt = settlement.attempt, attempts.insert(fence).inserted {
            tokens[token].recorded += 1
            let recorded = tokens[token].recorded
            if attempt.number != recorded { fail("message \(token): attempt \(attempt.number) is number \(recorded)") }
            if recorded > plan.policy.retry.maxAttempts { fail("message \(token) failed \(recorded) times") }
        }
        switch settlement.outcome {
        case .done:
            let claimant = claims[fence]?.incarnation ?? -1
            if !successes.contains(Success(token: token, incarnation: claimant)) {
                fail("message \(token) is done as \(fence), and no run of its daemon returned success")
            }
            end(token, .done)
        case .deadLetter(let reason):
            end(token, .dead)
            checkDeadLetter(token, fence: fence, reason: reason)
        case .retry(let delay, _), .snooze(let delay), .released(let delay), .condemned(_, let delay):
            tokens[token].waitingSince = now + delay.inMicroseconds
            checkRows(of: settlement.delivery.key, journal)
        }
    }

    private mutating func checkDeadLetter(_ token: Int, fence: Fence, reason: String) {
        let message = tokens[token]
        if reason.hasPrefix("crashed") {
            let deaths = claims[fence]?.deaths ?? 0
            if deaths < plan.policy.maxCrashes { fail("message \(token) is called crashed after \(deaths) deaths") }
            if plan.scenario == .poison, message.nature != .poison {
                fail("innocent message \(token) is called crashed")
            }
        } else if reason.hasPrefix("too_large") {
            if message.nature != .oversized { fail("message \(token) is not too large") }
        } else if message.nature != .hopeless, message.recorded < plan.policy.retry.maxAttempts {
            fail("message \(token) was given up after \(message.recorded) attempts: \(reason)")
        }
    }

    private mutating func checkRows(of key: MessageKey, _ journal: Journal) {
        guard let rows = journal.rows[key], rows.count > 1 else { return }
        if Set(rows.map(\.readCount)).count < rows.count { fail("two journal rows of one delivery of \(key.id)") }
    }

    private mutating func sawClaimed(
        _ lease: Lease,
        incarnation: Int,
        epoch: Int,
        clock: Timestamp,
        now: Int64,
        journal: Journal
    ) {
        var deaths = 0
        let fence = lease.fence
        let token = lease.body.map(Self.token(of:))
        highestVT = max(highestVT, lease.formerVT)
        if let token {
            let recorded = tokens[token].recorded
            if lease.history.attempts != recorded {
                fail("message \(token) has \(recorded) recorded attempts, and its claim says \(lease.history.attempts)")
            }
            checkWaiting(token, now: now)
            // A lease that has ended stays so, wherever the server's clock goes.
            for index in active.indices where active[index].token == token && active[index].leaseEnd <= clock {
                active[index].leaseEnd = .distantPast
            }
        }
        if lease.history.crashes > 0, let rows = journal.rows[lease.delivery.key] {
            let isTampered = token.map { tokens[$0].isTampered } ?? true
            let grace = plan.policy.visibilityTimeout.inMicroseconds * 3
            for row in rows where row.isOpen && row.owner != incarnation && row.readCount < fence.readCount {
                if died[row.owner] || isTampered || lastTrouble[row.owner] > now - grace {
                    deaths += 1
                } else {
                    fail("a delivery of daemon \(row.owner), which lives, counts as a crash of \(fence)")
                }
            }
        }
        claims[fence] = ClaimInfo(incarnation: incarnation, clock: clock, deaths: deaths, epoch: epoch)
    }

    // MARK: - Runs

    mutating func runBegan(
        _ token: Int,
        daemon: Int,
        incarnation: Int,
        worker: Int,
        fence: Fence,
        paused: [Int]
    ) {
        guard let claim = claims[fence] else { return fail("a run of \(fence), which nobody claimed") }
        if claim.incarnation != incarnation { fail("a run of \(fence), which another daemon claimed") }
        for other in active where other.token == token && other.epoch == claim.epoch && !tokens[token].isTampered {
            if other.leaseEnd > claim.clock {
                fail("message \(token) was claimed as \(fence) while daemon \(other.incarnation) had it for longer")
            } else if !other.isCancelled, !paused.contains(other.daemon) {
                fail("daemon \(other.incarnation) runs on with \(other.fence), whose lease has ended")
            }
        }
        tokens[token].runs += 1
        active.append(
            ActiveRun(
                token: token,
                daemon: daemon,
                incarnation: incarnation,
                worker: worker,
                fence: fence,
                leaseEnd: claim.clock.advanced(by: plan.policy.visibilityTimeout),
                epoch: claim.epoch
            )
        )
    }

    mutating func runEnded(daemon: Int, worker: Int, verdict: Verdict?) {
        guard let index = active.firstIndex(where: { $0.daemon == daemon && $0.worker == worker }) else {
            return fail("a run ended that had not begun")
        }
        let run = active.remove(at: index)
        switch verdict {
        case .done:
            successes.insert(Success(token: run.token, incarnation: run.incarnation))
            tokens[run.token].successes += 1
        case .failed, .retry, .deadLetter:
            tokens[run.token].failures += 1
        case .snooze:
            tokens[run.token].snoozes += 1
        case .notStarted, nil:
            break
        }
    }

    /// A flow was told that its exchange is through.
    mutating func believed(_ exchange: Exchange, refused: Set<Fence>) {
        for settlement in exchange.settlements where !refused.contains(settlement.fence) {
            if !settled.contains(settlement.fence) { fail("\(settlement.fence) is believed settled, and is not") }
        }
    }

    /// Everything has ended: is it as it must be?
    mutating func close() {
        if plan.scenario == .unrenewed {
            // Renewals fail for fifteen seconds, and claims are a second, two, four and eight apart.
            let futile = tokens.reduce(0) { $0 + $1.runs - $1.recorded - ($1.end == .done ? 1 : 0) }
            if futile > 4 * 4 { fail("\(futile) runs came to nothing because no lease was renewed") }
        }
        for (index, token) in tokens.enumerated() where token.isCommitted {
            guard token.end != .open else { return fail("message \(index) never ended: \(token)") }
            if plan.scenario == .calm || plan.scenario == .swallowed, token.end == .done, token.successes != 1 {
                fail("message \(index) succeeded \(token.successes) times")
            }
            if plan.scenario == .calm, token.runs != token.successes + token.failures + token.snoozes {
                fail("message \(index) had runs that came to nothing: \(token)")
            }
        }
    }
}
