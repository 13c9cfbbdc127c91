import Engine
import QueueModel

/// What is done next. It depends on the seed and the model alone, and on no moment.
extension Contest {
    private static let hour: Duration = .seconds(3600)

    mutating func draw() -> Step {
        if let step = planned.popLast() { return step }
        if rounds > 0 {
            rounds -= 1
            return round()
        }
        let isDawdling = dawdling != nil
        let weights = [
            14, 14, 4, 24, 5, 4, 7, 3, 5, 12, 2, isDawdling ? 0 : 6, isDawdling ? 14 : 0, 4,
            model.settings.isUnlogged && !isDawdling ? 2 : 0, 3,
        ]
        switch dice.index(weights: weights) {
        case 0: return .perform(send())
        case 1: return claim()
        case 2: return .bites(1 + dice.below(3), Claim(limit: 0, reach: .all, floor: nil), daemon: dice.below(2))
        case 3: return settle()
        case 4: return begin()
        case 5: return lose()
        case 6:
            return .perform(
                .renew(
                    dice.some(1 + dice.below(5), of: pool(holder: nil)).map(\.lease.fence),
                    notAfter: Timestamp(microseconds: .max)
                )
            )
        case 7: return phantoms()
        case 8: return .perform(read())
        case 9: return timePasses()
        case 10: return delete().map(Step.perform) ?? .perform(.probe(passingOver: []))
        case 11: return .begin(dawdle())
        case 12: return .end(commits: dice.chance(60))
        case 13: return .perform(.probe(passingOver: []))
        case 14: return .empty
        default: return moveUnread()
        }
    }

    /// A message that fails again and again: of its journal only the last rows are kept.
    private mutating func round() -> Step {
        if model.rows.isEmpty { return .perform(.send(bodies: [Array("\"again\"".utf8)], delay: .zero)) }
        guard let held = leases.last, !held.isSettled else {
            return .perform(
                .exchange(Exchange(claim: Claim(limit: 500, reach: .all, floor: nil)), daemon: dice.below(2))
            )
        }
        let attempt = Attempt(number: held.lease.history.attempts + 1, kind: .failed, duration: .zero, reason: "again")
        let settlement =
            dice.chance(90)
            ? Settlement(
                delivery: held.lease.delivery,
                outcome: .retry(after: .zero, reason: "again"),
                attempt: attempt
            )
            : Settlement(delivery: held.lease.delivery, outcome: .snooze(.zero))
        return .perform(.exchange(Exchange(settlements: [settlement]), daemon: held.daemon))
    }

    // MARK: - Daemons

    /// Leases of a daemon, or of both; old ones are in it every now and then.
    private mutating func pool(holder: Int?) -> [Held] {
        let all = holder.map { daemon in leases.filter { $0.daemon == daemon } } ?? leases
        return dice.chance(75) ? Array(all.suffix(8)) : all
    }

    /// A lock is waited for until the server gives up: that is done only now and then.
    private mutating func settleable(_ held: [Held]) -> [Held] {
        let isLocked = { [model] (held: Held) in (model.row(held.lease.fence.messageID)?.lockedBy ?? 0) != 0 }
        let locked = dice.chance(6) ? held.filter(isLocked) : []
        return locked.isEmpty ? held.filter { !isLocked($0) } : locked
    }

    private mutating func claim() -> Step {
        let daemon = dice.below(2)
        let due = model.rows.filter { $0.lockedBy == 0 }.compactMap(\.committed?.vt).filter { $0 <= clock }.sorted()
        var floor: Timestamp?
        if dice.chance(50), !due.isEmpty {
            floor = due[dice.below(due.count)].advanced(by: .microseconds(dice.chance(30) ? 1 : 0))
        }
        var claim = Claim(limit: 500, reach: floor == nil ? .all : .floor, floor: floor)
        let found = due.filter { time in floor.map { $0 <= time } ?? true }
        if dice.chance(40), !found.isEmpty {
            let limit = 1 + dice.below(found.count)
            let cutsTie = limit < found.count && found[limit - 1] == found[limit]
            if cutsTie { return .bites(limit, claim, daemon: daemon) }
            claim.limit = limit
        }
        if dice.chance(25) { claim.bytesEach = 1 + dice.below(60) }
        if claim.limit == 500 { name(&claim) }
        if dice.chance(8) { return .perform(.list(claim)) }
        return .perform(.exchange(Exchange(claim: claim), daemon: daemon))
    }

    /// Claims and lists of rows that are named one by one, or passed over.
    private mutating func name(_ claim: inout Claim) {
        let some = dice.some(1 + dice.below(4), of: model.rows).map(\.id)
        if dice.chance(15) {
            claim.reach = .only(some)
            claim.floor = nil
        } else if dice.chance(15) {
            claim.passingOver = some
        }
    }

    /// A row is moved unread as somebody saw it, now or some time ago.
    private mutating func moveUnread() -> Step {
        guard let row = model.rows.randomElement(using: &dice), let version = row.committed else { return claim() }
        let candidate = Candidate(
            messageID: row.id,
            readCount: version.readCount + (dice.chance(20) ? 1 : 0),
            enqueuedAt: row.enqueuedAt,
            lastReadAt: model.settings.hasLastReadAt && version.readAt != .distantPast ? version.readAt : nil
        )
        return .perform(
            .exchange(Exchange(unclaimable: .deadLetter(candidate, reason: "unread")), daemon: dice.below(2))
        )
    }

    private mutating func settle() -> Step {
        let daemon = dice.below(2)
        let candidates = settleable(pool(holder: daemon))
        let chosen = dice.some(1 + dice.below(4), of: candidates)
        var settlements: [Settlement] = []
        for held in chosen {
            if let settlement = settlement(of: held) { settlements.append(settlement) }
        }
        guard !settlements.isEmpty else { return claim() }
        var exchange = Exchange(settlements: settlements.shuffled(using: &dice))
        if dice.chance(20) { exchange.lost = losses(but: chosen.map(\.lease.fence)) }
        let allRemove = settlements.allSatisfy { settlement in
            switch settlement.outcome {
            case .done, .deadLetter: true
            case .retry, .snooze, .released, .condemned: false
            }
        }
        if allRemove, dice.chance(50) { exchange.claim = Claim(limit: 500, reach: .floor, floor: nil) }
        return .perform(.exchange(exchange, daemon: daemon))
    }

    private mutating func settlement(of held: Held) -> Settlement? {
        let delivery = held.lease.delivery
        let history = held.lease.history
        let delay = dice.chance(60) ? Duration.zero : Self.hour
        let reason = "reason \(dice.below(1000))"
        let attempt = Attempt(
            number: history.attempts + 1,
            kind: dice.chance(70) ? .failed : .timedOut,
            duration: .milliseconds(dice.below(5000)),
            reason: reason
        )
        switch dice.index(weights: [22, 34, 10, 10, 14, 8]) {
        case 0:
            // A first delivery with a journal row is settled already; it is never settled otherwise.
            if held.isSettled, !delivery.isJournaled { return nil }
            let place = dice.chance(60) && !delivery.isJournaled ? held.lease.place : nil
            return Settlement(delivery: delivery, outcome: .done, place: place)
        case 1:
            return Settlement(delivery: delivery, outcome: .retry(after: delay, reason: reason), attempt: attempt)
        case 2:
            return Settlement(
                delivery: delivery,
                outcome: .deadLetter(reason: reason),
                attempt: dice.chance(50) ? attempt : nil
            )
        case 3:
            return Settlement(delivery: delivery, outcome: .snooze(delay))
        case 4:
            return Settlement(delivery: delivery, outcome: .released(after: delay))
        default:
            let reason = history.condemned ?? reason
            return Settlement(
                delivery: delivery,
                outcome: .condemned(reason: reason, after: delay),
                attempt: history.condemned == nil && dice.chance(50) ? attempt : nil
            )
        }
    }

    /// A suspect is about to run.
    private mutating func begin() -> Step {
        let suspects = settleable(pool(holder: nil)).filter(\.lease.delivery.isJournaled)
        guard let held = suspects.randomElement(using: &dice) else { return claim() }
        return .perform(.exchange(Exchange(begins: held.lease.delivery), daemon: held.daemon))
    }

    private mutating func lose() -> Step {
        var exchange = Exchange(lost: losses(but: []))
        if dice.chance(50) { exchange.claim = Claim(limit: 500, reach: .all, floor: nil) }
        return .perform(.exchange(exchange, daemon: dice.below(2)))
    }

    /// Of both daemons: what is another's stays open.
    private mutating func losses(but fences: [Fence]) -> [Delivery] {
        let held = pool(holder: nil).filter { !fences.contains($0.lease.fence) && $0.lease.delivery.isJournaled }
        return dice.some(1 + dice.below(4), of: held).map(\.lease.delivery)
    }

    private mutating func phantoms() -> Step {
        let daemon = dice.below(2)
        let held = pool(holder: daemon).filter { _ in dice.chance(60) }
        return .perform(.closePhantoms(daemon: daemon, holding: held.map(\.lease.delivery)))
    }

    // MARK: - Others

    private mutating func send() -> Operation {
        let bodies = (0..<(1 + dice.below(4))).map { _ -> [UInt8] in
            messages += 1
            let text = "m\(messages)-"
            // As JSON with its quotes; on the limit, just above it, or far from it.
            let limit = model.settings.maxMessageBytes - 2
            let length = [limit, limit + 1, limit * 3, text.count + dice.below(20)][dice.index(weights: [1, 1, 1, 7])]
            return Array("\"\(text)\(String(repeating: "x", count: max(0, length - text.count)))\"".utf8)
        }
        return .send(bodies: bodies, delay: dice.chance(80) ? .zero : Self.hour)
    }

    private mutating func read() -> Operation {
        .read(limit: 1 + dice.below(4), visibilityTimeout: dice.chance(30) ? .zero : model.settings.visibilityTimeout)
    }

    private mutating func delete() -> Operation? {
        model.rows.randomElement(using: &dice).map { .delete(id: $0.id) }
    }

    private mutating func dawdle() -> Operation {
        switch dice.below(6) {
        case 0: return send()
        case 1: return read()
        case 2: return delete() ?? .lock(limit: 1)
        case 3:
            guard let row = model.rows.randomElement(using: &dice) else { return .lock(limit: 1) }
            return .setVT(id: row.id, to: moment())
        default: return .lock(limit: 1 + dice.below(4))
        }
    }

    /// Visibility timeouts and delays end: a `vt` is set into the past, as another client may. Now and then the other
    /// way round.
    private mutating func timePasses() -> Step {
        let tie = moment()
        let isTied = dice.chance(30)
        let waiting = model.rows.filter { row in
            row.committed.map { $0.vt > clock } ?? false && (row.lockedBy == 0 || dice.chance(10))
        }
        let chosen = dice.some(1 + dice.below(waiting.count + 1), of: waiting.isEmpty ? model.rows : waiting)
        planned = chosen.map { .perform(.setVT(id: $0.id, to: isTied ? tie : moment())) }
        return planned.popLast() ?? .perform(send())
    }

    private mutating func moment() -> Timestamp {
        dice.chance(90)
            ? clock.advanced(by: .microseconds(-dice.below(5_000_000))) : clock.advanced(by: Self.hour)
    }
}
