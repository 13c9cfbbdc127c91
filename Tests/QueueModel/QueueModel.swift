import Engine

/// One PGMQ queue in memory, with its dead-letter queue, our journal, and PostgreSQL's ways with transactions:
/// what is not committed is invisible and locked, and what is committed without waiting for the disk can be lost.
///
/// It keeps no time of its own: every call is told the server's clock.
public struct QueueModel: Sendable {
    public struct Settings: Sendable {
        public var visibilityTimeout: Duration
        public var maxMessageBytes: Int
        /// PGMQ 1.10 and later. Before, the fence takes `enqueued_at`, and claims are durable.
        public var hasLastReadAt: Bool
        /// Emptied by a crash of the server, and its ids begin again.
        public var isUnlogged: Bool
        /// From this many open rows on a message is a suspect, whose claim opens no row: it does when it begins.
        public var suspectedAfter: Int
        public var faults: ModelFaults
        public var trait: @Sendable (_ body: [UInt8]) -> RowTrait

        public init(
            visibilityTimeout: Duration,
            maxMessageBytes: Int = 1 << 20,
            hasLastReadAt: Bool = true,
            isUnlogged: Bool = false,
            suspectedAfter: Int = .max,
            faults: ModelFaults = [],
            trait: @escaping @Sendable (_ body: [UInt8]) -> RowTrait = { _ in .ordinary }
        ) {
            self.visibilityTimeout = visibilityTimeout
            self.maxMessageBytes = maxMessageBytes
            self.hasLastReadAt = hasLastReadAt
            self.isUnlogged = isUnlogged
            self.suspectedAfter = suspectedAfter
            self.faults = faults
            self.trait = trait
        }
    }

    public struct Version: Sendable, Equatable {
        public var readCount: Int32
        public var readAt: Timestamp
        public var vt: Timestamp
        /// Every version has one of its own.
        public var place: Place

        public init(readCount: Int32, readAt: Timestamp, vt: Timestamp, place: Place) {
            self.readCount = readCount
            self.readAt = readAt
            self.vt = vt
            self.place = place
        }
    }

    public struct Row: Sendable {
        public let id: Int64
        public internal(set) var enqueuedAt: Timestamp
        public let body: [UInt8]
        /// nil until the sender commits.
        public internal(set) var committed: Version?
        /// The transaction that has changed or locked it; 0: none.
        public internal(set) var lockedBy = 0
    }

    public struct DeadLetter: Sendable {
        public let body: [UInt8]
        public let reason: String
        public let attempts: Int
    }

    enum Change: Sendable {
        case insert(Int64, Version)
        case update(Int64, Version)
        case delete(Int64)
        case lock(Int64)
    }

    struct Pending: Sendable {
        var changes: [Change] = []
        var journal: [Journal.Change] = []
        var deadLetters: [DeadLetter] = []
        var facts: [Fact] = []
        var isDurable = true
        /// It holds the lock that writers of the table take, whether or not it found a row to write.
        var isWriter = false
    }

    /// What a crash takes back of a transaction that was not yet on disk.
    enum Undo: Sendable {
        case restore(Int64, Version)
        case unopen(MessageKey, readCount: Int32)
    }

    public let settings: Settings
    /// A delete changes nothing, and says nothing.
    public var swallowsDeletes = false
    /// Every claim fails, whatever row it finds.
    public var refusesClaims = false
    /// In the order of their ids.
    public internal(set) var rows: [Row] = []
    public internal(set) var deadLetters: [DeadLetter] = []
    public internal(set) var journal = Journal()
    var nextID: Int64 = 1
    var pending: [Int: Pending] = [:]
    var lastTransaction = 0
    private var lastPlace: UInt64 = 0
    private var unflushed: [Undo] = []

    public init(_ settings: Settings) {
        self.settings = settings
        journal.insertsAlways = settings.faults.contains(.duplicatedJournalRow)
    }

    // MARK: - Transactions

    /// Executes without committing. What it changed is locked until ``commit(_:)`` or ``rollback(_:)``.
    public mutating func begin(_ operation: Operation, now: Timestamp) -> (transaction: Int, answer: Answer) {
        lastTransaction += 1
        let id = lastTransaction
        var pending = Pending()
        let answer = execute(operation, now: now, in: &pending, id: id)
        self.pending[id] = pending
        switch answer {
        case .locked, .rejected: rollback(id)
        default: break
        }
        return (id, answer)
    }

    /// - Returns: what has changed by it; nothing, if the transaction is gone.
    public mutating func commit(_ id: Int) -> [Fact] {
        guard let done = pending.removeValue(forKey: id) else { return [] }
        if done.isDurable { unflushed = [] }
        for change in done.changes {
            switch change {
            case .insert(let id, let version):
                withRow(id) { row in
                    row.committed = version
                    row.lockedBy = 0
                }
            case .update(let id, let version):
                if !done.isDurable, let index = index(of: id), let former = rows[index].committed {
                    unflushed.append(.restore(id, former))
                }
                withRow(id) { row in
                    row.committed = version
                    row.lockedBy = 0
                }
            case .delete(let id):
                if let index = index(of: id) { rows.remove(at: index) }
            case .lock(let id):
                withRow(id) { $0.lockedBy = 0 }
            }
        }
        for change in done.journal {
            if !done.isDurable, case .open(let key, let readCount, _, _) = change {
                unflushed.append(.unopen(key, readCount: readCount))
            }
            journal.apply(change)
        }
        deadLetters += done.deadLetters
        return done.facts
    }

    public mutating func rollback(_ id: Int) {
        guard let undone = pending.removeValue(forKey: id) else { return }
        for change in undone.changes {
            switch change {
            case .insert(let id, _):
                if let index = index(of: id) { rows.remove(at: index) }
            case .update(let id, _), .delete(let id), .lock(let id):
                withRow(id) { $0.lockedBy = 0 }
            }
        }
    }

    /// Executes and commits.
    public mutating func perform(_ operation: Operation, now: Timestamp) -> (answer: Answer, facts: [Fact]) {
        let (id, answer) = begin(operation, now: now)
        return (answer, commit(id))
    }

    /// What was committed without waiting for the disk is safe from now on.
    public mutating func flush() {
        unflushed = []
    }

    /// - Returns: the bodies of messages that are gone, if the queue is unlogged.
    public mutating func crash() -> [[UInt8]] {
        for id in pending.keys.sorted() { rollback(id) }
        guard !settings.isUnlogged else {
            defer {
                rows = []
                unflushed = []
                nextID = 1
            }
            return rows.map(\.body)
        }
        for undo in unflushed.reversed() {
            switch undo {
            case .restore(let id, let version): withRow(id) { $0.committed = version }
            case .unopen(let key, let readCount): journal.remove(key, readCount: readCount)
            }
        }
        unflushed = []
        return []
    }

    // MARK: - Rows

    public func row(_ id: Int64) -> Row? {
        index(of: id).map { rows[$0] }
    }

    /// What the fence holds for.
    public func body(_ fence: Fence) -> [UInt8]? {
        guard let row = row(fence.messageID), let version = row.committed, self.fence(of: row, version) == fence else {
            return nil
        }
        return row.body
    }

    func index(of id: Int64) -> Int? {
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < rows.count && rows[low].id == id ? low : nil
    }

    /// Takes over the moments that a real server put down, which are a little later than those it was asked at: what
    /// follows can then be compared exactly.
    public mutating func adopt(_ id: Int64, enqueuedAt: Timestamp, _ version: Version) {
        withRow(id) { row in
            row.enqueuedAt = enqueuedAt
            row.committed = version
        }
    }

    private mutating func withRow(_ id: Int64, _ body: (inout Row) -> Void) {
        guard let index = index(of: id) else { return }
        body(&rows[index])
    }

    mutating func newPlace() -> Place {
        lastPlace += 1
        return Place(raw: lastPlace)
    }

    func fence(of row: Row, _ version: Version) -> Fence {
        Fence(
            messageID: row.id,
            readCount: version.readCount,
            readAt: settings.hasLastReadAt ? version.readAt : row.enqueuedAt,
            source: FenceSource(outlivesDelay: !settings.hasLastReadAt)
        )
    }
}

extension Timestamp {
    public func advanced(by duration: Duration) -> Timestamp {
        Timestamp(microseconds: microseconds + duration.inMicroseconds)
    }
}
