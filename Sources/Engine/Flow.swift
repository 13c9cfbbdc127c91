import DequeModule

/// Decides what one queue's consumer does, and does none of it.
///
/// Every function is an event, told with the time it happened; it reads no clock, holds no lock and waits for
/// nothing. The shell (``QueueConsumer``) performs what comes back, the simulation performs it on a model.
///
/// A message's way: ``hint(_:now:)`` → ``nextJob(now:)`` claims → ``take(worker:now:)`` works →
/// ``finished(worker:verdict:now:)`` makes the outcome → ``nextJob(now:)`` settles; ``nextRenewal(now:)`` on the side.
public struct Flow: Sendable {
    struct Run: Sendable {
        var lease: Lease
        var until: Instant
        var began: Instant
        var deadline: Instant
        var cause: CancelCause?
    }

    struct Waiting: Sendable {
        var lease: Lease
        var until: Instant
    }

    public let policy: QueuePolicy
    var lifecycle = Lifecycle()
    /// The database is known not to answer: what waits for it brings nothing soon.
    var isAway = false
    public internal(set) var counters = Counters()

    var ready: Deque<Waiting> = []
    var runs: [Run?]
    var running = 0

    // Settling.
    var done: Deque<Settlement> = []
    var others: Deque<Settlement> = []
    /// How many exchanges went before these since they were last their turn.
    var passedOver = 0
    var lost: [Delivery] = []
    /// Of these, how many are being closed, and when to try again what could not be.
    var losing = 0
    var loseAgainAt: Instant?
    /// Settlements of transactions that failed: each goes again by itself, before any claim.
    var again: [Repeat] = []
    /// Of these, and of those under way again, how many have not been sent a second time yet.
    var firstRepeats = 0
    var underway: [Repeat] = []
    /// Exchanges that settled something, since the beginning.
    var landings = 0
    var settling = 0
    /// The settlements of every exchange under way.
    var inFlight: [[Settlement]] = []
    /// Of these, what a new lease of the message has taken over.
    var passedOn: Set<Fence> = []
    /// Since when outcomes wait for more of them.
    var gatheringSince: Instant?
    /// For the log, taken by the shell.
    var losses: [Int64] = []
    var burials: [Burial] = []
    var troubles: [Trouble] = []
    var failures: [FailedRun] = []
    var cutOff: [Int64] = []
    var abandoned = 0

    // Claiming.
    var attention = Attention()
    package var floor = Floor()
    var prefetch = Prefetch()
    var reserved = 0
    var heldBytes = 0
    var reservedBytes = 0
    /// The worker that reads its message's body.
    var reading: Int?
    var bytesEach = 16 << 10
    /// Claims that took too long are repeated with less, and grow again.
    var claimCap = Int.max
    var caution = Caution()
    var unclaimable = UnclaimableRows()
    /// Groups of a search whose claims are under way.
    var groupsAsked: [[Candidate]] = []
    var isMarking = false
    /// Why the claim was refused that a search began with; nil: a look began it.
    var searchReason: String?
    /// Claims in a row that took longer than a call may.
    var slowClaims = 0
    var pause: Pause?
    var pauses = 0
    /// Messages whose outcomes were refused alone while none passed, and the count of landings meanwhile.
    var refusedAlone: (messages: Set<Int64>, landings: Int) = ([], 0)
    /// The handler could not be started: nothing is claimed for a while, then one message tries.
    var fault: Pause?
    var faults = 0
    /// Claims ended unknown: until then, ours that never arrived may still be committed.
    var phantomsUntil: Instant?
    var closingPhantoms = false
    /// When that was sent: what it knows is no newer, however late its answer is heard.
    var closingSince: Instant?
    var closePhantomsAt: Instant?
    /// The first closing has not succeeded: a claim would take a phantom for a crash.
    var hasPhantoms = false

    // Renewing.
    var renewAt: Instant?
    var renewing = false
    var renewingSince: Instant?
    /// Renewals that failed since the last that succeeded.
    var renewalFailures = 0
    /// When, in spite of them, a message is claimed.
    var claimUnrenewedAt: Instant?
    var lateRenewals = LateRenewals()
    /// What a delaying settlement has to be written again after, by its fence.
    var echoes: [Fence: Instant] = [:]
    /// The server's clock, and when the transaction was sent that told it.
    var serverClock: (time: Timestamp, sent: Instant)?
    /// No lease ends before this; a lower bound, made exact when it is reached.
    var earliestEnd: Instant?
    var earliestDeadline: Instant?

    var random: SplitMix64

    /// - Parameter seed: of the jitter; the same seed and events give the same decisions.
    public init(policy: QueuePolicy, seed: UInt64) {
        self.policy = policy
        runs = Array(repeating: nil, count: policy.workers)
        random = SplitMix64(seed: seed)
    }

    var held: Int { ready.count + running + reserved }
    var capacity: Int { policy.workers + prefetch.places }
    /// Settlements that the database does not let go, of those not settled yet.
    var stuck: Int { countRepeats { $0.isStuck } }
    /// Of these, those that met nothing that passed: then no other would be let go either.
    var stuckForAll: Int { countRepeats { $0.isStuck && !$0.isOwnFault } }

    private func countRepeats(where matches: (Repeat) -> Bool) -> Int {
        again.isEmpty && underway.isEmpty
            ? 0 : (again + underway).reduce(0) { matches($1) ? $0 + $1.settlements.count : $0 }
    }
    var unsettled: Int { done.count + others.count + settling + again.reduce(0) { $0 + $1.settlements.count } }

    // MARK: - Wake

    public mutating func hint(_ wake: Wake, now: Instant) {
        switch wake {
        case .notified:
            attention.hint(now: now)
        case .throttled:
            attention.notifiedThroughThrottle(now: now)
        case .away:
            isAway = true
            noteLeft(now: now)
        case .reconnected:
            isAway = false
            floor.reset()
            attention.reconnected(now: now)
            claimUnrenewedAt = nil
            if pause?.cause == .database { pause = nil }
        case .listening(let heard):
            attention.listening(heard, now: now)
        case .probed(let probe):
            attention.probedAlong(probe, interval: interval * (0.9 + 0.2 * random.draw()), now: now)
        }
    }

    // MARK: - Stop

    public mutating func quiet() {
        lifecycle.quiet()
    }

    public mutating func resume(now: Instant) {
        if lifecycle.resume() { attention.hint(now: now) }
    }

    /// Hands back what has not begun; what runs may go on until the deadline.
    ///
    /// - Parameter allowance: how long handlers that are cancelled and outcomes to settle may take beyond the deadline;
    ///   then what is left is given up.
    public mutating func stop(until deadline: Instant, allowance: Duration, now: Instant) {
        guard lifecycle.stop(until: deadline, allowance: allowance) else { return }
        releaseReady()
        if let suspect = caution.abandon() { release(suspect) }
        noteLeft(now: now)
    }

    var isStopping: Bool { lifecycle.isDraining }
    var isHalted: Bool { lifecycle.isHalted }

    /// Stopped, and nothing is left, or nothing more can be done about it.
    public var isFinished: Bool { isStopping && (isHalted || left == .nothing) }

    /// What a stop still waits for.
    private var left: Lifecycle.Left {
        if running > 0 || !ready.isEmpty || unsettled > stuck { return .work }
        if stuck == 0, isAway || reserved == 0 && isJournalClosed { return .nothing }
        return .remnants
    }

    /// An open row of ours would be taken for a crash.
    private var isJournalClosed: Bool { lost.isEmpty && losing == 0 && closePhantomsAt == nil }

    /// To be called after events, so that remnants are given up in time.
    mutating func noteLeft(now: Instant) {
        guard isStopping else { return }
        let left = left
        lifecycle.left(left, now: now)
        guard left == .remnants else { return }
        // Rows of claims that land later stay open: there is no work to wait beside.
        phantomsUntil = nil
        closePhantomsAt = closePhantomsAt.map { min($0, now) }
    }

    /// Cheap, and true whenever ``isFinished`` could be.
    var mayHaveEnded: Bool { isStopping }

    /// Why nothing is claimed, where that is worth a line in the log: not for a database that is away, which is told
    /// once for all queues, nor for a lock.
    var pauseReason: String? {
        if let fault { return fault.reason }
        if unclaimable.isFull { return "more than \(UnclaimableRows.limit) rows are unclaimable" }
        guard let pause, pause.cause != .database, pause.cause != .lock else { return nil }
        return pause.reason.loggableReason
    }

    /// Gives up what is not settled yet. The messages come back when their leases end.
    mutating func halt() {
        abandoned += unsettled + running
        reserved = 0
        reservedBytes = 0
    }

    /// What is to be logged since the last call.
    public mutating func takeNews() -> News? {
        if losses.isEmpty, burials.isEmpty, troubles.isEmpty, failures.isEmpty, cutOff.isEmpty, abandoned == 0,
            !hasUnclaimableNews
        {
            return nil
        }
        defer {
            (losses, burials, troubles, failures) = ([], [], [], [])
            (cutOff, abandoned) = ([], 0)
        }
        return News(
            lost: losses,
            deadLettered: burials,
            troubles: troubles,
            failed: failures,
            cutOff: cutOff,
            abandoned: abandoned,
            unclaimable: hasUnclaimableNews ? unclaimable.takeNews() : []
        )
    }

    /// While the search goes on, what was found may still turn out to be common to all.
    private var hasUnclaimableNews: Bool { unclaimable.hasNews && !unclaimable.isSearching }

    mutating func releaseReady() {
        while let waiting = ready.popFirst() { release(waiting.lease) }
    }

    mutating func release(_ lease: Lease, after delay: Duration = .zero) {
        heldBytes -= lease.held
        settle(Settlement(delivery: lease.delivery, outcome: .released(after: delay)))
    }

    /// The next moment at which asking again could bring something, if nothing happens before.
    public func nextAlarm() -> Instant? {
        var next = earliest(renewing ? nil : renewAt, earliest(earliestEnd, earliestDeadline))
        next = earliest(next, lifecycle.nextTick)
        if running > 0 || closePhantomsAt != nil { next = earliest(next, ahead(lifecycle.graceEnd)) }
        for item in again { next = earliest(next, ahead(item.notBefore)) }
        if let closePhantomsAt, !closingPhantoms { next = earliest(next, ahead(closePhantomsAt)) }
        if !lost.isEmpty { next = earliest(next, ahead(loseAgainAt)) }
        for pause in [pause, fault] { next = earliest(next, ahead(pause?.until)) }
        if renewalFailures > 0 { next = earliest(next, ahead(claimUnrenewedAt)) }
        if lifecycle.state == .running { next = earliest(next, ahead(unclaimable.nextStep)) }
        return earliest(next, restUntil)
    }

    /// What was due already when it was last asked waits for a pump, a place or a handler, and not for the time: an
    /// alarm for it would ring again and again.
    private func ahead(_ time: Instant?) -> Instant? {
        guard let time, let asked, time <= asked else { return time }
        return nil
    }

    var asked: Instant?

    /// Set by ``nextJob(now:)`` when it had nothing to do.
    var restUntil: Instant?

    public func snapshot(now: Instant) -> Snapshot {
        Snapshot(
            queue: policy.name,
            workers: policy.workers,
            runs: runs.enumerated().compactMap { index, run in
                run.map {
                    Snapshot.Run(
                        worker: index,
                        messageID: $0.lease.fence.messageID,
                        attempt: $0.lease.history.attempts + 1,
                        running: now - $0.began
                    )
                }
            },
            waiting: ready.count,
            unsettled: unsettled,
            counters: counters,
            paused: pause?.reason.loggableReason ?? fault?.reason,
            isAsleep: attention.isAsleep,
            isQuiet: lifecycle.state == .quiet
        )
    }
}

/// A queue that claims nothing for a while, and why.
struct Pause: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// It is away; the pause ends when it is back, too.
        case database
        /// A lock or a deadlock, which pass.
        case lock
        /// The server ran out of something.
        case noRoom
        /// A table, a right or a policy is missing.
        case missing
        /// No claim is taken, whatever row it is for.
        case claims
        /// No outcome is written, whatever message it is of.
        case outcomes
        /// The database answers, changes nothing, and keeps the message.
        case kept
        /// The handler could not be started.
        case handler
    }

    var until: Instant
    var reason: String
    var cause: Cause
}

extension Pause.Cause {
    /// How long the first pause lasts, and how long the longest. Of what somebody has to mend it is a look a second.
    var bounds: (first: Duration, most: Duration) {
        switch self {
        case .database: (.milliseconds(20), .seconds(1))
        case .lock: (.milliseconds(50), .seconds(2))
        case .noRoom: (.seconds(1), .seconds(30))
        case .missing, .kept: (.seconds(1), .seconds(1))
        case .claims, .outcomes: (.seconds(1), .seconds(10))
        case .handler: (.seconds(1), .seconds(60))
        }
    }
}

/// Settlements that go again: their transaction failed, or they have to be written once more.
struct Repeat: Sendable {
    var settlements: [Settlement]
    var notBefore: Instant
    var tries: Int
    /// How often the database has refused it, being one by itself.
    var rejections = 0
    /// Value of ``Flow/landings`` when nothing passed. If it has grown since, others got through.
    var exhaustedAt: Int?
    /// Value of ``Flow/landings`` when it was first refused, being one by itself.
    var refusedAt: Int?
    /// Others have gone through meanwhile.
    var isOwnFault = false
    /// The database answered, changed nothing, and the row still carries the fence.
    var isStuck = false
    /// Written once already, and written again because a renewal that landed late may have undone it: when the message is
    /// due. Nothing of it is counted again.
    var echoDue: Instant?
}

/// A small, fast, seeded generator, so that a history can be replayed.
struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in 0...1.
    mutating func draw() -> Double {
        Double(next() >> 11) / Double(1 << 53)
    }
}

/// What a flow has to tell, for the log.
public struct News: Sendable, Equatable {
    /// Messages whose lease was lost.
    public var lost: [Int64]
    public var deadLettered: [Burial]
    public var troubles: [Trouble]
    public var failed: [FailedRun]
    /// Messages whose handlers the end of the shutdown's grace cancelled.
    public var cutOff: [Int64]
    /// How many runs and outcomes a stop gave up.
    public var abandoned: Int
    public var unclaimable: [UnclaimableNews]
}

/// A row that no claim can take.
public struct UnclaimableNews: Sendable, Equatable {
    public let messageID: Int64
    public let reason: String
    /// It could not be dead-lettered, either.
    public let staysForGood: Bool
}

/// A run that spent an attempt. Why is told in the journal, and not in the log: a reason may quote the message.
public struct FailedRun: Sendable, Equatable {
    public let messageID: Int64
    public let attempt: Attempt
}

/// A message that went to the dead-letter queue. Why is told there, and not in the log: a reason may quote the message.
public struct Burial: Sendable, Equatable {
    public let messageID: Int64
    public let deliveries: Int
}
