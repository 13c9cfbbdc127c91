import Engine

/// What a queue can be asked, by a daemon, a producer or some other client.
public enum Operation: Sendable {
    case send(bodies: [[UInt8]], delay: Duration)
    /// Settles, closes lost deliveries' rows and claims, in one transaction.
    ///
    /// A claim rides only with outcomes that remove their messages, so it never meets a row its own transaction left.
    case exchange(Exchange, daemon: Int)
    /// Changes nothing from that moment on.
    case renew([Fence], notAfter: Timestamp)
    case closePhantoms(daemon: Int, holding: [Delivery])
    case probe(passingOver: [Int64])
    /// The rows that this claim would take.
    case list(Claim)
    /// `pgmq.read` by a client that is none of ours.
    case read(limit: Int, visibilityTimeout: Duration)
    /// `pgmq.set_vt`, which looks at the id alone.
    case setVT(id: Int64, to: Timestamp)
    case delete(id: Int64)
    /// `select … for update` by somebody who then dawdles.
    case lock(limit: Int)

    /// Whether its transaction locks the table as writers do.
    var writes: Bool {
        switch self {
        case .send, .renew, .read, .setVT, .delete: true
        case .exchange(let exchange, _): exchange.claim != nil || !exchange.settlements.isEmpty
        case .closePhantoms, .probe, .list, .lock: false
        }
    }
}

public enum Answer: Sendable {
    case sent([Int64])
    case exchanged(Changes)
    case listed([Candidate])
    case renewed([Renewal])
    case closed
    case probed(Probe)
    /// Ids that were read, changed, deleted or locked.
    case touched([Int64])
    /// A row is locked by another transaction: nothing happened, it would have to wait.
    case locked
    /// A statement failed at a row: nothing happened.
    case rejected
}

/// What an exchange did.
public struct Changes: Sendable {
    public var refused: Set<Fence> = []
    public var kept: Set<Fence> = []
    public var claimed: [Lease] = []
    public var swallowed: Set<Int64> = []
    public var moved = false

    public init() {}

    public init(_ result: ExchangeResult) {
        refused = result.refused
        kept = result.kept
        claimed = result.claimed
        swallowed = result.swallowed
        moved = result.moved
    }

    public func result(clock: Timestamp, sent: Instant) -> ExchangeResult {
        ExchangeResult(
            refused: refused,
            kept: kept,
            claimed: claimed,
            swallowed: swallowed,
            moved: moved,
            clock: clock,
            sent: sent
        )
    }
}

/// How a row answers to those who would change it.
public enum RowTrait: Sendable {
    case ordinary
    /// A claim of it fails. It can be moved inside the database.
    case refusesClaims
    /// Neither a claim nor a copy of it succeeds.
    case refusesAll
    /// An update of it changes nothing.
    case swallowsUpdates
}

/// A committed change, as an observer needs it to tell right from wrong.
public enum Fact: Sendable {
    /// `holder` is the row's fence at the moment of the change.
    case settled(Settlement, body: [UInt8], holder: Fence)
    case renewed(Fence, holder: Fence, from: Timestamp, to: Timestamp)
    case claimed(Lease, isDurable: Bool)
    /// Dead-lettered without having been read.
    case moved(body: [UInt8])
    case removed(body: [UInt8])
}

/// Ways in which an implementation of the queue could be wrong. The simulation must notice each.
public struct ModelFaults: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// Settlements and renewals look at the id alone.
    public static let noFence = ModelFaults(rawValue: 1 << 0)
    /// Settlements and renewals look at the id and the read count.
    public static let readCountFence = ModelFaults(rawValue: 1 << 1)
    /// A settlement inserts its journal row, whether or not one stands.
    public static let duplicatedJournalRow = ModelFaults(rawValue: 1 << 2)
    /// A renewal may end a lease sooner.
    public static let loweringRenewal = ModelFaults(rawValue: 1 << 3)
    /// A settlement that delays the message leaves its fence as it was.
    public static let delayKeepsFence = ModelFaults(rawValue: 1 << 4)
}
