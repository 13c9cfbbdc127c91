/// What every write about a claimed message is conditional on.
///
/// `readCount` alone is not enough: it comes back when a crash of the server loses a claim that was not yet on
/// disk, or when an unlogged queue is emptied and its ids begin again.
public struct Fence: Sendable, Hashable {
    public let messageID: Int64
    public let readCount: Int32
    public let source: FenceSource
    /// `last_read_at`; on a PGMQ that has none (before 1.10), `enqueued_at`.
    public let readAt: Timestamp

    public init(messageID: Int64, readCount: Int32, readAt: Timestamp, source: FenceSource = FenceSource()) {
        self.messageID = messageID
        self.readCount = readCount
        self.source = source
        self.readAt = readAt
    }

    /// No claim counts further: beyond it fences would repeat.
    public static let lastReadCount = Int32.max
}

/// Which column and which table a fence was read from. A queue may be upgraded, or a partition dropped, while a lease is
/// held, so the lease remembers it. The port makes it and reads it; the engine hands it back as it came.
public struct FenceSource: Sendable, Hashable {
    /// The number that the port gives to a partition; 0: the queue's own table.
    public let partition: UInt16
    /// The column changes with no settlement that delays the message (PGMQ before 1.10): such a settlement does not end
    /// the fence, and a renewal that lands behind it still finds its row.
    public let outlivesDelay: Bool

    public init(partition: UInt16 = 0, outlivesDelay: Bool = false) {
        self.partition = partition
        self.outlivesDelay = outlivesDelay
    }
}

/// Where the database put a claimed message: a hint that finds it quickly, and is good until somebody moves it. What it
/// says is the port's own.
public struct Place: Sendable, Hashable {
    public let raw: UInt64

    public init(raw: UInt64) {
        self.raw = raw
    }
}

/// Names one claim of one message, as its journal row does.
public struct Delivery: Sendable, Hashable {
    public let fence: Fence
    public let enqueuedAt: Timestamp

    public init(fence: Fence, enqueuedAt: Timestamp) {
        self.fence = fence
        self.enqueuedAt = enqueuedAt
    }

    /// Whether the claim opened a journal row: it does for a message that had been read before.
    public var isJournaled: Bool { fence.readCount > 1 }
}

/// What the journal knew of a message when it was claimed.
public struct History: Sendable, Equatable {
    /// Recorded failures.
    public var attempts: Int
    /// Deliveries of ours, not this one, that left no outcome.
    public var crashes: Int
    /// Set when a dead-letter move was decided and could not be written: it is due now, without another run.
    public var condemned: String?
    /// Why the last recorded attempt failed.
    public var lastReason: String?

    public init(attempts: Int = 0, crashes: Int = 0, condemned: String? = nil, lastReason: String? = nil) {
        self.attempts = attempts
        self.crashes = crashes
        self.condemned = condemned
        self.lastReason = lastReason
    }

    public static let none = History()
}

/// The right to settle one claimed message until its visibility timeout passes.
public struct Lease: Sendable {
    public let delivery: Delivery
    public let body: [UInt8]?
    public let headers: [UInt8]?
    /// Bytes of body and headers, fetched or not.
    public let size: Int
    /// Over the limit: it is not fetched at all.
    public let isOversized: Bool
    /// Too large for the claim: it is fetched when its turn comes.
    public var isUnread: Bool
    private let past: Past?
    /// When the message became visible, by the server, or one that came later and was claimed along: the next claim
    /// begins there.
    public let formerVT: Timestamp
    /// nil where it is not known, or no more.
    public var place: Place?

    public init(
        delivery: Delivery,
        body: [UInt8]?,
        headers: [UInt8]?,
        size: Int,
        isOversized: Bool = false,
        isUnread: Bool = false,
        history: History = .none,
        formerVT: Timestamp,
        place: Place? = nil
    ) {
        self.place = place
        self.delivery = delivery
        self.body = body
        self.headers = headers
        self.size = size
        self.isOversized = isOversized
        self.isUnread = isUnread
        past = history == .none ? nil : .known(history)
        self.formerVT = formerVT
    }

    public var fence: Fence { delivery.fence }
    public var history: History {
        if case .known(let history) = past { history } else { .none }
    }

    /// Apart, because nearly none has one, and leases go through many hands.
    private indirect enum Past: Sendable {
        case known(History)
    }

    /// What holding it takes.
    var held: Int { isOversized || isUnread ? 0 : size }
}

/// A message's body and headers, as JSON texts.
public struct Content: Sendable, Equatable {
    public let body: [UInt8]?
    public let headers: [UInt8]?

    public init(body: [UInt8]?, headers: [UInt8]?) {
        self.body = body
        self.headers = headers
    }
}
