/// The port: what the engine asks of a queue. PGMQ speaks it in SQL; the simulation in memory.
public protocol Queue: Sendable {
    /// Settles and claims in one transaction. Waits while the database is away.
    ///
    /// Nothing of it has happened when it throws `rejected`, `conflict`, `busy`, `exhausted` or `refused`; with `unavailable`
    /// that is unknown.
    func exchange(_ exchange: Exchange) async throws(QueueFailure) -> ExchangeResult

    /// Reads what a claim has left where it was.
    /// - Returns: nil if the fence holds no more.
    func read(_ fence: Fence) async throws(QueueFailure) -> Content?

    /// Extends leases to a whole visibility timeout from now. The results stand in the order of the fences.
    func renew(_ fences: [Fence]) async throws(QueueFailure) -> Renewals

    /// Closes the journal rows of claims whose reply never came: all open ones of this daemon but those held.
    func closePhantoms(holding: [Delivery]) async throws(QueueFailure)

    /// Looks without claiming.
    /// - Parameter besides: at the other queues that sleep, too, and tells them.
    func probe(besides: Bool) async throws(QueueFailure) -> Probe

    /// Asks producers to ring from now on.
    /// - Returns: false where no ringing can be relied on: the queue must be polled.
    func fallAsleep() async throws(QueueFailure) -> Bool

    /// Asks producers to ring no more.
    func wakeUp() async throws(QueueFailure)
}

/// How much to claim, and from where.
public struct Claim: Sendable, Equatable {
    public enum Reach: Sendable, Equatable {
        /// From the floor upwards.
        case floor
        /// From below the floor: for what a late commit or a rolled-back claim left there.
        case below(Duration)
        /// Everything visible.
        case all
        /// From a second ago, by the server's clock, where there is no floor and a claim of everything takes too long.
        case recent
    }

    public var limit: Int
    public var reach: Reach
    /// The lowest `vt` looked at; nil: none.
    public var floor: Timestamp?
    /// A body that is larger, headers included, is left where it is: it is read when the message's turn comes. So a claim
    /// brings no more than `limit` times this, whatever the size of what it finds.
    public var bytesEach: Int

    public init(limit: Int, reach: Reach, floor: Timestamp?, bytesEach: Int = .max) {
        self.limit = limit
        self.reach = reach
        self.floor = floor
        self.bytesEach = bytesEach
    }
}

/// One transaction: what is settled, and what is claimed behind it.
public struct Exchange: Sendable, Equatable {
    public var settlements: [Settlement]
    /// Deliveries whose lease was lost: only their journal rows are closed.
    public var lost: [Delivery]
    public var claim: Claim?
    /// A suspect, about to run alone: its journal row is opened, if the fence holds.
    public var begins: Delivery?

    public init(
        settlements: [Settlement] = [],
        lost: [Delivery] = [],
        claim: Claim? = nil,
        begins: Delivery? = nil
    ) {
        self.settlements = settlements
        self.lost = lost
        self.claim = claim
        self.begins = begins
    }
}

public struct ExchangeResult: Sendable {
    /// Settlements, and a suspect about to begin, whose fence held no more.
    public var refused: Set<Fence>
    public var claimed: [Lease]
    /// The server's clock at the transaction's start.
    public var clock: Timestamp
    /// Just before it was sent: what was claimed is counted from here, never from the answer.
    public var sent: Instant

    public init(refused: Set<Fence> = [], claimed: [Lease] = [], clock: Timestamp, sent: Instant) {
        self.refused = refused
        self.claimed = claimed
        self.clock = clock
        self.sent = sent
    }
}

public struct Renewals: Sendable, Equatable {
    public var results: [Renewal]
    /// Just before it was sent: the new ends are counted from here.
    public var sent: Instant

    public init(results: [Renewal], sent: Instant) {
        self.results = results
        self.sent = sent
    }
}

public enum Renewal: Sendable, Equatable {
    case renewed
    /// Locked by another transaction at that moment: not lost, and not extended.
    case skipped
    case lost
}

public struct Probe: Sendable, Equatable {
    public var hasVisible: Bool
    /// Until the smallest future `vt`.
    public var nextDue: Duration?
    /// Another transaction is writing to the queue: what it sends may be committed at any moment.
    public var hasWriters: Bool

    public init(hasVisible: Bool, nextDue: Duration?, hasWriters: Bool) {
        self.hasVisible = hasVisible
        self.nextDue = nextDue
        self.hasWriters = hasWriters
    }
}

/// Why the database did not do what was asked, as far as the engine's next step depends on it.
public enum QueueFailure: Error, Sendable, Equatable {
    /// The connection went; what happened is unknown.
    case unavailable(String)
    /// A lock, a deadlock, a statement timeout: the same again soon. `smaller`: with less at once.
    case busy(String, smaller: Bool)
    /// Disk, memory or connections ran out: go on settling, claim nothing for a while.
    case exhausted(String)
    /// The queue, a function or a right is missing: this queue pauses.
    case refused(String)
    /// Something in what was asked will not pass.
    case rejected(String)
    /// What was to be written is there already, and stays: an archive that has the id.
    case conflict(String)
    case cancelled

    var isConflict: Bool {
        if case .conflict = self { true } else { false }
    }

    public var reason: String {
        switch self {
        case .unavailable(let reason), .busy(let reason, _), .exhausted(let reason), .refused(let reason),
            .rejected(let reason), .conflict(let reason):
            reason
        case .cancelled: "cancelled"
        }
    }
}

/// Any hint that a claim may find something.
public enum Wake: Sendable, Equatable {
    case notified
    /// PGMQ's own trigger is throttled on its leading edge: what was sent just after it gave no sound.
    case throttled
    /// The connections are new: the floor means nothing any more.
    case reconnected
    /// LISTEN was found to deliver, or not to.
    case listening(Bool)
    /// Another queue's look saw this one too.
    case probed(Probe)
}
