import DequeModule

/// Decides what one queue's consumer does, and does none of it.
///
/// Every function is an event, told with the time it happened; it reads no clock, holds no lock and waits for
/// nothing. The shell (``QueueConsumer``) performs what comes back, the simulation performs it on a model.
///
/// A message's way: ``hint(_:now:)`` → ``nextJob(now:)`` claims → ``take(worker:now:)`` works →
/// ``finished(worker:verdict:now:)`` makes the outcome → ``nextJob(now:)`` settles; ``nextRenewal(now:)`` on the side.
public struct Flow: Sendable {
    public enum Mode: Sendable, Equatable {
        case running
        /// Takes nothing new and goes on with what is held.
        case quiet
        /// Also hands back what has not begun, and ends.
        case stopping
    }

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
    public internal(set) var mode = Mode.running
    public internal(set) var counters = Counters()

    var ready: Deque<Waiting> = []
    var runs: [Run?]
    var running = 0
    var stopDeadline: Instant?
    var isHalted = false

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
    var pause: Pause?
    var pauses = 0
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
    var unsettled: Int { done.count + others.count + settling + again.reduce(0) { $0 + $1.settlements.count } }

    // MARK: - Wake

    public mutating func hint(_ wake: Wake, now: Instant) {
        switch wake {
        case .notified:
            attention.hint(now: now)
        case .throttled:
            attention.notifiedThroughThrottle(now: now)
        case .reconnected:
            floor.reset()
            attention.reconnected(now: now)
            if pause?.isDatabase == true { pause = nil }
        case .listening(let heard):
            attention.listening(heard, now: now)
        case .probed(let probe):
            attention.probedAlong(probe, interval: interval * (0.9 + 0.2 * random.draw()), now: now)
        }
    }

    // MARK: - Stop

    public mutating func quiet() {
        if mode == .running { mode = .quiet }
    }

    public mutating func resume(now: Instant) {
        guard mode == .quiet else { return }
        mode = .running
        attention.hint(now: now)
    }

    /// Hands back what has not begun; what runs may go on until the deadline.
    public mutating func stop(until deadline: Instant, now: Instant) {
        guard mode != .stopping else {
            stopDeadline = min(deadline, stopDeadline ?? deadline)
            return
        }
        mode = .stopping
        stopDeadline = deadline
        releaseReady()
        if let suspect = caution.abandon() { release(suspect) }
    }

    /// Nothing is held, running or unsettled, or nothing more can be done about it.
    public var isFinished: Bool {
        mode == .stopping
            && (isHalted || (running == 0 && reserved == 0 && unsettled == 0 && ready.isEmpty && isJournalClosed))
    }

    /// An open row of ours would be taken for a crash.
    private var isJournalClosed: Bool { lost.isEmpty && losing == 0 && closePhantomsAt == nil }

    /// Stopping, and nothing is left but claims that have not come back.
    var waitsForClaimsOnly: Bool {
        mode == .stopping && running == 0 && unsettled == 0 && ready.isEmpty && reserved > 0
    }

    /// Cheap, and true whenever ``isFinished`` could be.
    var mayHaveEnded: Bool { mode == .stopping }

    /// Why nothing is claimed, where that is worth a line in the log: not for a database that is away, which is told
    /// once for all queues, nor for a lock.
    var pauseReason: String? {
        if let fault { return fault.reason }
        guard let pause, !pause.isDatabase, !pause.isBrief else { return nil }
        return pause.reason
    }

    /// Gives up what is not settled yet. The messages come back when their leases end.
    /// - Returns: how many runs and outcomes are abandoned.
    public mutating func halt() -> Int {
        isHalted = true
        reserved = 0
        reservedBytes = 0
        return unsettled + running
    }

    /// What is to be logged since the last call.
    public mutating func takeNews() -> News? {
        if losses.isEmpty, burials.isEmpty, troubles.isEmpty, failures.isEmpty { return nil }
        defer { (losses, burials, troubles, failures) = ([], [], [], []) }
        return News(lost: losses, deadLettered: burials, troubles: troubles, failed: failures)
    }

    func isStopping(at now: Instant) -> Bool {
        mode == .stopping && (stopDeadline.map { $0 <= now } ?? false)
    }

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
        if mode == .stopping, running > 0 || closePhantomsAt != nil { next = earliest(next, ahead(stopDeadline)) }
        for item in again { next = earliest(next, ahead(item.notBefore)) }
        if let closePhantomsAt, !closingPhantoms { next = earliest(next, ahead(closePhantomsAt)) }
        if !lost.isEmpty { next = earliest(next, ahead(loseAgainAt)) }
        for pause in [pause, fault] { next = earliest(next, ahead(pause?.until)) }
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
            paused: (pause ?? fault)?.reason,
            isAsleep: attention.isAsleep,
            isQuiet: mode == .quiet
        )
    }
}

/// A queue that claims nothing for a while, and why.
struct Pause: Sendable, Equatable {
    var until: Instant
    var reason: String
    /// Ends when the database is back, too.
    var isDatabase: Bool
    /// A lock or a deadlock, which pass.
    var isBrief = false
}

/// Settlements of one failed transaction.
struct Repeat: Sendable {
    var settlements: [Settlement]
    var notBefore: Instant
    var tries: Int
    /// How often the database has refused it, being one by itself.
    var rejections = 0
    /// The database had no room for it when so many others had landed.
    var exhaustedAt: Int?
    /// There was room for others meanwhile.
    var isOwnFault = false
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
