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
    public var owner: Int
    public var isOpen: Bool
    public var attempt: Attempt?
    public var condemned: String?
    public var openedAt: Timestamp
}

/// The journal of deliveries and failed attempts. Rows are unique on message and read count.
public struct Journal: Sendable {
    enum Change: Sendable {
        case open(MessageKey, readCount: Int32, owner: Int, at: Timestamp)
        case close(MessageKey, readCount: Int32, owner: Int?)
        case record(MessageKey, readCount: Int32, owner: Int, Attempt?, condemned: String?)
        case prune(MessageKey)
    }

    public private(set) var rows: [MessageKey: [JournalRow]] = [:]
    var insertsAlways = false

    public func history(of key: MessageKey) -> History {
        guard let rows = rows[key] else { return .none }
        var history = History()
        for row in rows {
            if row.isOpen { history.crashes += 1 }
            // The number, not the count: only the last attempts are kept.
            if let attempt = row.attempt, attempt.number > history.attempts {
                history.attempts = attempt.number
                history.lastReason = attempt.reason
            }
            if let condemned = row.condemned { history.condemned = condemned }
        }
        return history
    }

    mutating func apply(_ change: Change) {
        switch change {
        case .open(let key, let readCount, let owner, let time):
            guard !(rows[key]?.contains { $0.readCount == readCount } ?? false) else { return }
            rows[key, default: []].append(
                JournalRow(readCount: readCount, owner: owner, isOpen: true, openedAt: time)
            )
        case .close(let key, let readCount, let owner):
            update(key, readCount: readCount) { row in
                if owner == nil || row.owner == owner { row.isOpen = false }
            }
        case .record(let key, let readCount, let owner, let attempt, let condemned):
            let stands = rows[key]?.contains { $0.readCount == readCount } ?? false
            if !stands || insertsAlways {
                rows[key, default: []].append(
                    JournalRow(
                        readCount: readCount,
                        owner: owner,
                        isOpen: false,
                        attempt: attempt,
                        condemned: condemned,
                        openedAt: .distantPast
                    )
                )
            } else {
                update(key, readCount: readCount) { row in
                    row.isOpen = false
                    row.attempt = attempt
                    row.condemned = condemned
                }
            }
        case .prune(let key):
            rows[key] = nil
        }
    }

    /// A claim that a crash of the server lost takes its row along.
    mutating func remove(_ key: MessageKey, readCount: Int32) {
        rows[key]?.removeAll { $0.readCount == readCount }
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
                if !isHeld { changes.append(.close(key, readCount: row.readCount, owner: daemon)) }
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
