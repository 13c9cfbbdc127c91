/// The port: what the engine asks of a queue. PGMQ speaks it in SQL; the simulation in memory.
public protocol Queue: Sendable {
    /// Settles and claims in one transaction. Waits while the database is away.
    ///
    /// Nothing of it has happened when it throws `rejected`, `conflict`, `busy`, `exhausted` or `refused`; with `unavailable`
    /// or `overdue` that is unknown.
    func exchange(_ exchange: Exchange) async throws(QueueFailure) -> ExchangeResult

    /// Reads what a claim has left where it was.
    /// - Returns: nil if the fence holds no more.
    func read(_ fence: Fence) async throws(QueueFailure) -> Content?

    /// Extends leases to a whole visibility timeout from now. The results stand in the order of the fences.
    func renew(_ renewal: RenewalOrder) async throws(QueueFailure) -> Renewals

    /// Closes the journal rows of claims whose reply never came: all open ones of this daemon but those held.
    func closePhantoms(holding: [Delivery]) async throws(QueueFailure)

    /// Looks without claiming.
    /// - Parameters:
    ///   - besides: at the other queues that sleep, too, and tells them.
    ///   - passingOver: rows of this queue that do not count, because no claim can take them.
    func probe(besides: Bool, passingOver: [Int64]) async throws(QueueFailure) -> Probe

    /// Waits for a visible message that another transaction holds locked, no longer than a call may take.
    func watch(passingOver: [Int64]) async throws(QueueFailure) -> Watched

    /// The rows that this claim would take, without their bodies and without changing them.
    func list(_ claim: Claim) async throws(QueueFailure) -> [Candidate]

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
        /// These messages, where they are visible.
        case only([Int64])
    }

    public var limit: Int
    public var reach: Reach
    /// The lowest `vt` looked at; nil: none.
    public var floor: Timestamp?
    /// A body that is larger, headers included, is left where it is: it is read when the message's turn comes. So a claim
    /// brings no more than `limit` times this, whatever the size of what it finds.
    public var bytesEach: Int
    /// Rows that no claim can take.
    public var passingOver: [Int64] = []

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
    public var unclaimable: UnclaimableOrder?

    public init(
        settlements: [Settlement] = [],
        lost: [Delivery] = [],
        claim: Claim? = nil,
        begins: Delivery? = nil,
        unclaimable: UnclaimableOrder? = nil
    ) {
        self.settlements = settlements
        self.lost = lost
        self.claim = claim
        self.begins = begins
        self.unclaimable = unclaimable
    }
}

/// What is done about rows that no claim can take.
public enum UnclaimableOrder: Sendable, Equatable {
    public struct Mark: Sendable, Equatable {
        public let candidate: Candidate
        /// nil: the row can be claimed again, or is gone.
        public let reason: String?

        public init(candidate: Candidate, reason: String?) {
            self.candidate = candidate
            self.reason = reason
        }
    }

    /// Names them in the journal.
    case mark([Mark])
    /// Moves the row to the dead-letter queue unread, by a copy inside the database: if it is still visible, still as it
    /// was seen, and locked by nobody.
    case deadLetter(Candidate, reason: String)
}

public struct ExchangeResult: Sendable {
    /// Settlements, and a suspect about to begin, whose fence held no more.
    public var refused: Set<Fence>
    /// Of the refused, those whose rows still carry the fence: the database does not let go of the messages.
    public var kept: Set<Fence>
    public var claimed: [Lease]
    /// Rows that a claim of ``Claim/Reach/only(_:)`` locked and did not change.
    public var swallowed: Set<Int64>
    /// Whether an unclaimable row was dead-lettered.
    public var moved: Bool
    /// The server's clock at the transaction's start.
    public var clock: Timestamp
    /// Just before it was sent: what was claimed is counted from here, never from the answer.
    public var sent: Instant

    public init(
        refused: Set<Fence> = [],
        kept: Set<Fence> = [],
        claimed: [Lease] = [],
        swallowed: Set<Int64> = [],
        moved: Bool = false,
        clock: Timestamp,
        sent: Instant
    ) {
        self.refused = refused
        self.kept = kept
        self.claimed = claimed
        self.swallowed = swallowed
        self.moved = moved
        self.clock = clock
        self.sent = sent
    }
}

/// The leases to extend.
public struct RenewalOrder: Sendable, Equatable {
    /// In the order of their messages' ids.
    public var fences: [Fence]
    /// The server's time from which on the renewal changes nothing any more. Only a fence that outlives a delaying
    /// settlement needs it: what is settled meanwhile is written once more after that moment.
    public var notAfter: Timestamp

    public init(fences: [Fence], notAfter: Timestamp = Timestamp(microseconds: .max)) {
        self.fences = fences
        self.notAfter = notAfter
    }
}

public struct Renewals: Sendable, Equatable {
    public var results: [Renewal]
    /// Just before it was sent: the new ends are counted from here.
    public var sent: Instant
    /// The server's clock at the transaction's start, where it is known.
    public var clock: Timestamp?

    public init(results: [Renewal], sent: Instant, clock: Timestamp? = nil) {
        self.results = results
        self.sent = sent
        self.clock = clock
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

/// What became of a visible message that was waited for.
public enum Watched: Sendable, Equatable {
    /// Nobody holds it locked.
    case free
    case stillLocked
    /// No message is visible.
    case nothing
}

/// Why the database did not do what was asked, as far as the engine's next step depends on it.
public enum QueueFailure: Error, Sendable, Equatable {
    /// The connection went; what happened is unknown.
    case unavailable(String)
    /// The server was there and did not answer in time; what happened is unknown, and the connection is closed.
    case overdue(String)
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

    /// Something that others have to mend.
    var isMissing: Bool {
        if case .refused = self { true } else { false }
    }

    var isConflict: Bool {
        if case .conflict = self { true } else { false }
    }

    /// Nobody knows whether it happened.
    var isUnknown: Bool {
        switch self {
        case .unavailable, .overdue: true
        case .busy, .exhausted, .refused, .rejected, .conflict, .cancelled: false
        }
    }

    public var reason: String {
        switch self {
        case .unavailable(let reason), .overdue(let reason), .busy(let reason, _), .exhausted(let reason),
            .refused(let reason),
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
    /// The database does not answer.
    case away
    /// The connections are new: the floor means nothing any more.
    case reconnected
    /// LISTEN was found to deliver, or not to.
    case listening(Bool)
    /// Another queue's look saw this one too.
    case probed(Probe)
}
