import Engine

extension QueueModel {
    mutating func execute(_ operation: Operation, now: Timestamp, in pending: inout Pending, id: Int) -> Answer {
        pending.isWriter = operation.writes
        switch operation {
        case .send(let bodies, let delay):
            return send(bodies, vt: now.advanced(by: delay), now: now, in: &pending, id: id)
        case .exchange(let exchange, let daemon):
            var changes = Changes()
            guard settle(exchange.settlements, &changes, daemon: daemon, now: now, in: &pending, id: id) else {
                return .locked
            }
            for delivery in exchange.lost {
                pending.journal.append(
                    .close(delivery.key, readCount: delivery.fence.readCount, owner: daemon, as: "lost")
                )
            }
            if let delivery = exchange.begins {
                guard let begins = begin(delivery, daemon: daemon, now: now, in: &pending) else { return .locked }
                if !begins { changes.refused.insert(delivery.fence) }
            }
            if case .deadLetter(let candidate, let reason) = exchange.unclaimable {
                guard let moved = move(candidate, reason, now: now, in: &pending, id: id) else { return .rejected }
                changes.moved = moved
            }
            // A claim that rides is as durable as what it rides behind.
            pending.isDurable =
                !settings.hasLastReadAt || !exchange.settlements.isEmpty || !exchange.lost.isEmpty
                || exchange.begins != nil || exchange.unclaimable != nil
            if let claim = exchange.claim {
                guard self.claim(claim, &changes, daemon: daemon, now: now, in: &pending, id: id) else {
                    return .rejected
                }
            }
            return .exchanged(changes)
        case .list(let claim):
            let found = visible(to: claim, now: now)
            return .listed(found.compactMap { rows[$0].committed.map { [row = rows[$0]] in candidate(row, $0) } })
        case .renew(let fences, let notAfter):
            return .renewed(fences.map { renew($0, notAfter: notAfter, now: now, in: &pending, id: id) })
        case .closePhantoms(let daemon, let holding):
            pending.journal = journal.phantoms(of: daemon, holding: holding)
            return .closed
        case .probe(let passedOver):
            return .probed(probe(passingOver: passedOver, now: now))
        case .read(let limit, let timeout):
            let found = visible(from: nil, now: now, limit: limit, byID: true)
            for index in found {
                guard var version = rows[index].committed else { continue }
                version.readCount += 1
                version.readAt = now
                version.vt = now.advanced(by: timeout)
                version.place = newPlace()
                change(index, .update(rows[index].id, version), in: &pending, id: id)
            }
            return .touched(found.map { rows[$0].id })
        case .setVT(let message, let vt):
            guard let index = index(of: message), var version = rows[index].committed else { return .touched([]) }
            guard rows[index].lockedBy == 0 else { return .locked }
            version.vt = vt
            version.place = newPlace()
            change(index, .update(message, version), in: &pending, id: id)
            return .touched([message])
        case .delete(let message):
            guard let index = index(of: message), rows[index].committed != nil else { return .touched([]) }
            guard rows[index].lockedBy == 0 else { return .locked }
            pending.facts.append(.removed(body: rows[index].body))
            change(index, .delete(message), in: &pending, id: id)
            return .touched([message])
        case .lock(let limit):
            var touched: [Int64] = []
            for index in rows.indices where rows[index].lockedBy == 0 && touched.count < limit {
                touched.append(rows[index].id)
                change(index, .lock(rows[index].id), in: &pending, id: id)
            }
            return .touched(touched)
        }
    }

    private mutating func change(_ index: Int, _ change: Change, in pending: inout Pending, id: Int) {
        rows[index].lockedBy = id
        pending.changes.append(change)
    }

    private mutating func send(
        _ bodies: [[UInt8]],
        vt: Timestamp,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) -> Answer {
        var ids: [Int64] = []
        for body in bodies {
            rows.append(Row(id: nextID, enqueuedAt: now, body: body, committed: nil, lockedBy: id))
            let version = Version(readCount: 0, readAt: .distantPast, vt: vt, place: newPlace())
            pending.changes.append(.insert(nextID, version))
            ids.append(nextID)
            nextID += 1
        }
        return .sent(ids)
    }

    // MARK: - Claiming

    /// What a claim finds, in the order of `vt`; locked rows are skipped. `pgmq.read` goes by their ids.
    private func visible(from floor: Timestamp?, now: Timestamp, limit: Int, byID: Bool = false) -> [Int] {
        var found: [(vt: Timestamp, index: Int)] = []
        for index in rows.indices where rows[index].lockedBy == 0 {
            guard let vt = rows[index].committed?.vt, vt <= now, floor.map({ $0 <= vt }) ?? true else { continue }
            found.append((vt, index))
        }
        if !byID { found.sort { $0.vt != $1.vt ? $0.vt < $1.vt : $0.index < $1.index } }
        return found.prefix(limit).map(\.index)
    }

    /// What this claim finds.
    private func visible(to claim: Claim, now: Timestamp) -> [Int] {
        if case .only(let ids) = claim.reach {
            let ids = Set(ids)
            return visible(from: nil, now: now, limit: .max).filter { ids.contains(rows[$0].id) }
        }
        let floor = claim.reach == .recent ? now.advanced(by: .zero - Floor.recent) : claim.floor
        guard !claim.passingOver.isEmpty else { return visible(from: floor, now: now, limit: claim.limit) }
        let all = visible(from: floor, now: now, limit: .max)
        return Array(all.filter { !claim.passingOver.contains(rows[$0].id) }.prefix(claim.limit))
    }

    private func candidate(_ row: Row, _ version: Version) -> Candidate {
        Candidate(
            messageID: row.id,
            readCount: version.readCount,
            enqueuedAt: row.enqueuedAt,
            lastReadAt: version.readAt == .distantPast || !settings.hasLastReadAt ? nil : version.readAt
        )
    }

    /// - Returns: whether the row was moved; nil: its copy was refused.
    private mutating func move(
        _ candidate: Candidate,
        _ reason: String,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) -> Bool? {
        guard let index = index(of: candidate.messageID), let version = rows[index].committed,
            rows[index].lockedBy == 0, version.vt <= now, self.candidate(rows[index], version) == candidate
        else { return false }
        if settings.trait(rows[index].body) == .refusesAll { return nil }
        if swallowsDeletes { return false }
        let key = MessageKey(id: candidate.messageID, enqueuedAt: rows[index].enqueuedAt)
        let attempts = journal.rows[key]?.count { $0.attempt != nil && $0.readCount <= version.readCount } ?? 0
        pending.deadLetters.append(DeadLetter(body: rows[index].body, reason: reason, attempts: attempts))
        pending.facts.append(.moved(body: rows[index].body))
        pending.journal.append(.prune(key))
        change(index, .delete(candidate.messageID), in: &pending, id: id)
        return true
    }

    /// - Returns: false where a row refuses it.
    private mutating func claim(
        _ claim: Claim,
        _ changes: inout Changes,
        daemon: Int,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) -> Bool {
        let earlier = pending.journal
        var found = visible(to: claim, now: now)
        if refusesClaims, !found.isEmpty { return false }
        for index in found {
            switch settings.trait(rows[index].body) {
            case .ordinary, .swallowsUpdates: break
            case .refusesClaims, .refusesAll: return false
            }
        }
        let reached = found.compactMap { rows[$0].committed?.vt }.max() ?? .distantPast
        found.removeAll { index in
            guard settings.trait(rows[index].body) == .swallowsUpdates else { return false }
            if case .only = claim.reach { changes.swallowed.insert(rows[index].id) }
            return true
        }
        changes.claimed = found.compactMap { index in
            let row = rows[index]
            guard let former = row.committed else { return nil }
            let vt = now.advanced(by: settings.visibilityTimeout)
            let version = Version(readCount: former.readCount + 1, readAt: now, vt: vt, place: newPlace())
            let key = MessageKey(id: row.id, enqueuedAt: row.enqueuedAt)
            let isOversized = row.body.count > settings.maxMessageBytes
            let isUnread = !isOversized && row.body.count > claim.bytesEach
            let lease = Lease(
                delivery: Delivery(fence: fence(of: row, version), enqueuedAt: row.enqueuedAt),
                body: isOversized || isUnread ? nil : row.body,
                headers: nil,
                size: row.body.count,
                isOversized: isOversized,
                isUnread: isUnread,
                history: former.readCount > 0 ? journal.history(of: key, for: daemon, after: earlier) : .none,
                formerVT: reached,
                place: version.place
            )
            change(index, .update(row.id, version), in: &pending, id: id)
            pending.facts.append(.claimed(lease, isDurable: pending.isDurable))
            if lease.delivery.isJournaled, lease.history.crashes < settings.suspectedAfter {
                pending.journal.append(.open(key, readCount: version.readCount, owner: daemon, at: now))
            }
            return lease
        }
        return true
    }

    /// Opens a suspect's row.
    ///
    /// - Returns: whether the fence holds; nil: the row is locked.
    private func begin(_ delivery: Delivery, daemon: Int, now: Timestamp, in pending: inout Pending) -> Bool? {
        guard let row = row(delivery.fence.messageID), let version = row.committed,
            holds(delivery.fence, row, version)
        else { return false }
        guard row.lockedBy == 0 else { return nil }
        pending.journal.append(.open(delivery.key, readCount: delivery.fence.readCount, owner: daemon, at: now))
        return true
    }

    private func probe(passingOver passedOver: [Int64], now: Timestamp) -> Probe {
        var hasVisible = false
        var next: Timestamp?
        for row in rows {
            guard let version = row.committed else { continue }
            if version.vt <= now {
                if !passedOver.contains(row.id) { hasVisible = true }
            } else {
                next = min(next ?? version.vt, version.vt)
            }
        }
        return Probe(
            hasVisible: hasVisible,
            nextDue: next.map { .microseconds($0.microseconds - now.microseconds) },
            hasWriters: pending.values.contains(where: \.isWriter)
        )
    }

    // MARK: - Settling and renewing

    private func holds(_ fence: Fence, _ row: Row, _ version: Version) -> Bool {
        if settings.faults.contains(.noFence) { return true }
        if settings.faults.contains(.readCountFence) { return version.readCount == fence.readCount }
        return self.fence(of: row, version) == fence
    }

    /// - Returns: false where a row is locked.
    private mutating func settle(
        _ settlements: [Settlement],
        _ changes: inout Changes,
        daemon: Int,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) -> Bool {
        for settlement in settlements {
            let fence = settlement.fence
            guard let index = index(of: fence.messageID), let version = rows[index].committed,
                holds(fence, rows[index], version), settlement.place.map({ $0 == version.place }) ?? true
            else {
                // A fence that does not hold now may hold no more when the lock is free; it never comes to hold.
                changes.refused.insert(fence)
                continue
            }
            guard rows[index].lockedBy == 0 || rows[index].lockedBy == id else {
                // The lock is the row's, so whoever has it may be about to change the fence.
                return false
            }
            if swallowsDeletes, !settlement.outcome.keepsMessage {
                changes.refused.insert(fence)
                if settlement.place == nil { changes.kept.insert(fence) }
                continue
            }
            let row = rows[index]
            let holder = self.fence(of: row, version)
            pending.facts.append(.settled(settlement, body: row.body, holder: holder))
            write(settlement, daemon: daemon, row: index, version, now: now, in: &pending, id: id)
        }
        return true
    }

    private mutating func write(
        _ settlement: Settlement,
        daemon: Int,
        row index: Int,
        _ version: Version,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) {
        let message = rows[index].id
        let key = MessageKey(id: message, enqueuedAt: rows[index].enqueuedAt)
        let readCount = settlement.fence.readCount
        func later(_ delay: Duration) -> Change {
            var version = version
            version.vt = now.advanced(by: delay)
            version.place = newPlace()
            if settings.hasLastReadAt, !settings.faults.contains(.delayKeepsFence) { version.readAt = .distantPast }
            return .update(message, version)
        }
        switch settlement.outcome {
        case .done:
            change(index, .delete(message), in: &pending, id: id)
            pending.journal.append(.prune(key))
        case .deadLetter(let reason):
            let earlier = journal.rows[key]?.count { $0.attempt != nil && $0.readCount < readCount } ?? 0
            let attempts = earlier + (settlement.attempt == nil ? 0 : 1)
            pending.deadLetters.append(DeadLetter(body: rows[index].body, reason: reason, attempts: attempts))
            change(index, .delete(message), in: &pending, id: id)
            pending.journal.append(.prune(key))
        case .retry(let delay, _), .snooze(let delay), .released(let delay), .condemned(_, let delay):
            change(index, later(delay), in: &pending, id: id)
            let word = settlement.word
            guard readCount > 1 || settlement.attempt != nil || word == "condemned" else { return }
            pending.journal.append(
                .record(
                    key,
                    readCount: readCount,
                    owner: daemon,
                    outcome: word,
                    settlement.attempt,
                    reason: settlement.reason
                )
            )
        }
    }

    private mutating func renew(
        _ fence: Fence,
        notAfter: Timestamp,
        now: Timestamp,
        in pending: inout Pending,
        id: Int
    ) -> Renewal {
        guard let index = index(of: fence.messageID), var version = rows[index].committed else { return .lost }
        guard holds(fence, rows[index], version) else { return .lost }
        guard rows[index].lockedBy == 0, now < notAfter else { return .skipped }
        let until = now.advanced(by: settings.visibilityTimeout)
        let former = version.vt
        version.vt =
            settings.faults.contains(.loweringRenewal)
            ? now.advanced(by: settings.visibilityTimeout / 4) : max(former, until)
        pending.facts.append(
            .renewed(fence, holder: self.fence(of: rows[index], version), from: former, to: version.vt)
        )
        version.place = newPlace()
        change(index, .update(fence.messageID, version), in: &pending, id: id)
        return .renewed
    }
}

extension Outcome {
    fileprivate var keepsMessage: Bool {
        switch self {
        case .done, .deadLetter: false
        case .retry, .snooze, .released, .condemned: true
        }
    }
}

extension Settlement {
    /// The outcome as the journal writes it.
    fileprivate var word: String {
        switch outcome {
        case .condemned: "condemned"
        case .done: "done"
        case .deadLetter: "dead_letter"
        case .retry: attempt?.kind.rawValue ?? "retry"
        case .snooze: attempt?.kind.rawValue ?? "snooze"
        case .released: attempt?.kind.rawValue ?? "released"
        }
    }

    fileprivate var reason: String? {
        if let attempt { return attempt.reason }
        return switch outcome {
        case .retry(_, let reason), .deadLetter(let reason), .condemned(let reason, _): reason
        case .done, .snooze, .released: nil
        }
    }
}
