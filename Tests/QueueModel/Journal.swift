import Engine

/// Names one message for ever: ids begin again when an unlogged queue is emptied.
public struct MessageKey: Sendable, Hashable {
    public let id: Int64
    public let enqueuedAt: Timestamp

    public init(id: Int64, enqueuedAt: Timestamp) {
        self.id = id
        self.enqueuedAt = enqueuedAt
    }
}

/// One delivery's row.
public struct JournalRow: Sendable {
    public let readCount: Int32
    public let owner: Int
    public let openedAt: Timestamp
    /// As the server's journal writes it; nil: open.
    public internal(set) var outcome: String?
    public internal(set) var attempt: Attempt?
    public internal(set) var reason: String?

    public var isOpen: Bool { outcome == nil }
}

/// The journal of deliveries and failed attempts. Rows are unique on message and read count.
public struct Journal: Sendable {
    enum Change: Sendable {
        case open(MessageKey, readCount: Int32, owner: Int, at: Timestamp)
        /// Without an outcome, and by its own daemon alone.
        case close(MessageKey, readCount: Int32, owner: Int, as: String)
        /// Whatever the row said before.
        case record(MessageKey, readCount: Int32, owner: Int, outcome: String, Attempt?, reason: String?)
        case prune(MessageKey)

        var key: MessageKey {
            switch self {
            case .open(let key, _, _, _), .close(let key, _, _, _), .record(let key, _, _, _, _, _), .prune(let key):
                key
            }
        }
    }

    /// Of a message that fails for ever only the last attempts are kept.
    static let keptAttempts: Int32 = 20

    public private(set) var rows: [MessageKey: [JournalRow]] = [:]
    var insertsAlways = false

    /// - Parameter changes: of the same transaction, and not yet applied.
    func history(of key: MessageKey, for daemon: Int, after changes: [Change]) -> History {
        let changes = changes.filter { $0.key == key }
        if changes.isEmpty { return history(of: key, for: daemon) }
        var later = Journal()
        later.rows[key] = rows[key]
        for change in changes { later.apply(change) }
        return later.history(of: key, for: daemon)
    }

    /// - Parameter daemon: who claims; no open row of its own is a crash, for it lives.
    func history(of key: MessageKey, for daemon: Int) -> History {
        guard let rows = rows[key] else { return .none }
        var history = History()
        for row in rows {
            if row.isOpen, row.owner != daemon { history.crashes += 1 }
            // The number, not the count: only the last attempts are kept.
            if let attempt = row.attempt, attempt.number > history.attempts {
                history.attempts = attempt.number
                history.lastReason = attempt.reason
            }
            if row.outcome == "condemned" { history.condemned = row.reason }
        }
        return history
    }

    mutating func apply(_ change: Change) {
        switch change {
        case .open(let key, let readCount, let owner, let time):
            guard !(rows[key]?.contains { $0.readCount == readCount } ?? false) else { return }
            rows[key, default: []].append(JournalRow(readCount: readCount, owner: owner, openedAt: time))
        case .close(let key, let readCount, let owner, let word):
            update(key, readCount: readCount) { row in
                if row.owner == owner, row.isOpen { row.outcome = word }
            }
        case .record(let key, let readCount, let owner, let outcome, let attempt, let reason):
            let stands = rows[key]?.contains { $0.readCount == readCount } ?? false
            if !stands || insertsAlways {
                var row = JournalRow(readCount: readCount, owner: owner, openedAt: .distantPast)
                row.outcome = outcome
                row.attempt = attempt
                row.reason = reason
                rows[key, default: []].append(row)
            } else {
                update(key, readCount: readCount) { row in
                    row.outcome = outcome
                    row.attempt = attempt
                    row.reason = reason
                }
            }
            if outcome == "condemned" {
                rows[key]?.removeAll { $0.outcome == "condemned" && $0.attempt == nil && $0.readCount < readCount }
            }
            if readCount > Self.keptAttempts { trim(key, readCount: readCount, attempt: attempt?.number) }
        case .prune(let key):
            rows[key] = nil
        }
    }

    /// A claim that a crash of the server lost takes its row along.
    mutating func remove(_ key: MessageKey, readCount: Int32) {
        rows[key]?.removeAll { $0.readCount == readCount }
    }

    private mutating func trim(_ key: MessageKey, readCount: Int32, attempt: Int?) {
        rows[key]?.removeAll { row in
            if let number = row.attempt?.number {
                number <= (attempt ?? 0) - Int(Self.keptAttempts)
            } else {
                !row.isOpen && row.outcome != "condemned" && row.readCount <= readCount - Self.keptAttempts
            }
        }
    }

    private mutating func update(_ key: MessageKey, readCount: Int32, _ body: (inout JournalRow) -> Void) {
        guard let index = rows[key]?.firstIndex(where: { $0.readCount == readCount }) else { return }
        if rows[key] != nil { body(&rows[key, default: []][index]) }
    }

    /// This daemon's open rows, but for those it holds.
    func phantoms(of daemon: Int, holding: [Delivery]) -> [Change] {
        var changes: [Change] = []
        for (key, rows) in rows {
            for row in rows where row.isOpen && row.owner == daemon {
                let isHeld = holding.contains {
                    $0.fence.messageID == key.id && $0.enqueuedAt == key.enqueuedAt
                        && $0.fence.readCount == row.readCount
                }
                if !isHeld { changes.append(.close(key, readCount: row.readCount, owner: daemon, as: "phantom")) }
            }
        }
        return changes
    }

    public func openRows(of daemon: Int) -> [(key: MessageKey, row: JournalRow)] {
        rows.flatMap { key, rows in rows.filter { $0.isOpen && $0.owner == daemon }.map { (key, $0) } }
    }
}

extension Delivery {
    public var key: MessageKey { MessageKey(id: fence.messageID, enqueuedAt: enqueuedAt) }
}
