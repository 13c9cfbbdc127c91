import Engine

/// What a queue can be asked, by a daemon, a producer or some other client.
public enum Operation: Sendable {
    case send(bodies: [[UInt8]], delay: Duration)
    /// Settles, closes lost deliveries' rows and claims, in one transaction.
    ///
    /// A claim rides only with outcomes that remove their messages, so it never meets a row its own transaction left.
    case exchange(Exchange, daemon: Int)
    case renew([Fence])
    case closePhantoms(daemon: Int, holding: [Delivery])
    case probe
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
        case .closePhantoms, .probe, .lock: false
        }
    }
}

public enum Answer: Sendable {
    case sent([Int64])
    case exchanged(refused: Set<Fence>, claimed: [Lease])
    case renewed([Renewal])
    case closed
    case probed(Probe)
    /// Ids that were read, changed, deleted or locked.
    case touched([Int64])
    /// A row is locked by another transaction: nothing happened, it would have to wait.
    case locked
}

/// A committed change, as an observer needs it to tell right from wrong.
public enum Fact: Sendable {
    /// `holder` is the row's fence at the moment of the change.
    case settled(Settlement, body: [UInt8], holder: Fence)
    case renewed(Fence, holder: Fence, from: Timestamp, to: Timestamp)
    case claimed(Lease, isDurable: Bool)
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
}
