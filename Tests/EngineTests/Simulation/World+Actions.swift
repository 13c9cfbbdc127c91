import Engine
import QueueModel

/// What producers, operators, other clients and bad luck do.
extension World {
    mutating func act() {
        guard actionsLeft > 0 else { return events.put(.heals, at: now + 1000) }
        actionsLeft -= 1
        switch plan.scenario {
        case .calm, .poison:
            send(lateness: dice.chance(30) ? 90_000 : 400)
            if dice.chance(30) { wakeAny() }
            events.put(.act, at: now + dice.between(1000, 50_000))
        case .load:
            // One send of many gives them one vt; after it, a stream that leaves no time to fall asleep.
            let isFirst = actionsLeft == plan.actions - 1
            send(lateness: dice.chance(15) ? 200_000 : 300, least: isFirst ? 200 : 1, most: isFirst ? 200 : 30)
            events.put(.act, at: now + dice.between(1000, 12_000))
        case .storm:
            storm()
            events.put(.act, at: now + dice.between(500, 70_000))
        case .idle:
            send(lateness: 400)
            events.put(.act, at: now + dice.between(6_000_000, 12_000_000))
        case .unrenewed:
            if actionsLeft == plan.actions - 1 {
                renewalsFailUntil = now + 15_000_000
                send(lateness: 400, least: 4, most: 4)
            }
            events.put(.act, at: now + 2_000_000)
        case .swallowed:
            if dice.chance(8) { deletesAreSwallowedUntil = now + plan.policy.visibilityTimeout.inMicroseconds * 3 }
            send(lateness: 400)
            events.put(.act, at: now + dice.between(1000, 200_000))
        case .refused:
            if dice.chance(4) { claimsAreRefusedUntil = now + dice.between(500_000, 5_000_000) }
            send(lateness: 400)
            events.put(.act, at: now + dice.between(1000, 50_000))
        }
    }

    /// Whether a row's refusal is its own shows only beside others that pass: messages go on to come.
    mutating func goOn() {
        guard ledger.tokens.contains(where: { $0.isCommitted && $0.end == .open && $0.nature.trait != .ordinary })
        else {
            return
        }
        send(lateness: 400, least: 3, most: 3, natures: [(.good, 1)])
        events.put(.act, at: now + 5_000_000)
    }

    private mutating func storm() {
        let index = dice.below(daemons.count)
        let timeout = plan.policy.visibilityTimeout.inMicroseconds
        switch dice.index(weights: [40, 5, 4, 1, 6, 4, 4, 3, 2, 2, 3, 2, 2, 1, 3, 3]) {
        case 0: send(lateness: dice.chance(25) ? 700_000 : 2000)
        case 1: wakeAny()
        case 2: foreignVT()
        case 3: foreignDelete()
        case 4:
            guard daemons[index].isUp else { return }
            ends(index, died: true)
        case 5:
            trace?.note(now, "daemon at \(index) is paused")
            daemons[index].pausedUntil = max(daemons[index].pausedUntil, now + dice.between(1000, timeout * 5 / 2))
            trouble(index)
        case 6: stop(index)
        case 7: quiet(index)
        case 8: crashServer()
        case 9:
            clockOffset -= dice.between(1000, 2_000_000)
            trace?.note(now, "the server's clock steps back")
        case 10:
            trace?.note(now, "daemon at \(index) is cut off")
            daemons[index].cutUntil = now + dice.between(5000, timeout * 2)
            trouble(index)
            events.put(.wakes(daemon: index, .reconnected), at: daemons[index].cutUntil + dice.between(100, 50_000))
        case 11: deadLettersFailUntil = now + dice.between(10_000, 400_000)
        case 12:
            guard let row = model.rows.randomElement(using: &dice) else { return }
            unsettleable = (Ledger.token(of: row.body), now + dice.between(50_000, 600_000))
        case 13: exhaustedUntil = now + dice.between(10_000, 200_000)
        case 14:
            guard isServerUp else { return }
            let (transaction, _) = model.begin(.lock(limit: 1 + dice.below(5)), now: clock)
            events.put(.lockEnds(transaction: transaction, epoch: epoch), at: now + dice.between(1000, 300_000))
        default: foreignRead()
        }
    }

    // MARK: - Producers

    private mutating func send(lateness: Int64, least: Int = 1, most: Int = 5, natures: [(Nature, Int)]? = nil) {
        guard isServerUp else { return }
        let first = ledger.tokens.count
        let bodies = (0..<(least + dice.below(most - least + 1))).map { offset -> [UInt8] in
            let nature = natures?[0].0 ?? plan.nature(&dice)
            ledger.tokens.append(Ledger.Token(nature: nature))
            return Ledger.body(of: first + offset, nature: nature, limit: plan.policy.maxMessageBytes)
        }
        let delay: Duration = plan.scenario != .load && dice.chance(10) ? .milliseconds(dice.between(1, 1500)) : .zero
        let (transaction, _) = model.begin(.send(bodies: bodies, delay: delay), now: clock)
        trace?.note(now, "messages \(first)..<\(first + bodies.count) are sent")
        for offset in bodies.indices { ledger.tokens[first + offset].waitingSince = now + delay.inMicroseconds }
        events.put(
            .sendEnds(
                transaction: transaction,
                epoch: epoch,
                commits: plan.scenario != .storm || !dice.chance(5),
                first: first,
                count: bodies.count
            ),
            at: now + dice.between(50, lateness)
        )
    }

    mutating func sendEnds(_ transaction: Int, epoch: Int, commits: Bool, first: Int, count: Int) {
        guard commits, epoch == self.epoch else {
            if epoch == self.epoch { model.rollback(transaction) }
            for token in first..<(first + count) { ledger.tokens[token].end = .neverSent }
            return
        }
        _ = model.commit(transaction)
        for token in first..<(first + count) {
            ledger.committed(token, visibleAt: max(now, ledger.tokens[token].waitingSince))
        }
        trace?.note(now, "messages \(first)..<\(first + count) are committed")
        for index in daemons.indices where plan.scenario == .idle ? daemons[index].isRegistered : dice.chance(75) {
            let wake: Wake = dice.chance(10) ? .throttled : .notified
            for _ in 0..<(dice.chance(15) ? 2 : 1) {
                events.put(.wakes(daemon: index, wake), at: now + dice.between(100, 3000))
            }
        }
    }

    private mutating func wakeAny() {
        let wakes: [Wake] = [.notified, .notified, .throttled, .listening(true), .listening(false), .reconnected]
        let wake = wakes[dice.below(plan.scenario == .storm ? wakes.count : 3)]
        events.put(.wakes(daemon: dice.below(daemons.count), wake), at: now)
    }

    // MARK: - Operators

    private mutating func stop(_ index: Int) {
        guard daemons[index].isUp, daemons[index].pausedUntil <= now else { return }
        trace?.note(now, "daemon \(daemons[index].incarnation) is told to stop")
        let grace = dice.chance(30) ? 0 : dice.between(1000, 800_000)
        daemons[index].stopUntil = min(now + grace, daemons[index].stopUntil ?? .max)
        daemons[index].flow.stop(until: instant(now + grace), allowance: .seconds(1), now: instant(now))
        cancel(index, daemons[index].flow.tick(now: instant(now)))
        dispatch(index)
    }

    private mutating func quiet(_ index: Int) {
        guard daemons[index].isUp, daemons[index].pausedUntil <= now else { return }
        daemons[index].flow.quiet()
        events.put(.resumes(daemon: index), at: now + dice.between(5000, 600_000))
        dispatch(index)
    }

    // MARK: - Other clients

    private mutating func foreignVT() {
        guard isServerUp, let row = model.rows.filter({ $0.committed != nil }).randomElement(using: &dice) else {
            return
        }
        let past = Timestamp(microseconds: clock.microseconds - dice.between(0, 5_000_000))
        if case .touched(let ids) = model.perform(.setVT(id: row.id, to: past), now: clock).answer, !ids.isEmpty {
            ledger.tokens[Ledger.token(of: row.body)].isTampered = true
            trace?.note(now, "somebody sets the vt of \(Ledger.token(of: row.body))")
        }
    }

    private mutating func foreignDelete() {
        guard isServerUp, let row = model.rows.filter({ $0.committed != nil }).randomElement(using: &dice) else {
            return
        }
        trace?.note(now, "somebody deletes \(Ledger.token(of: row.body))")
        for fact in model.perform(.delete(id: row.id), now: clock).facts {
            ledger.saw(fact, incarnation: -1, epoch: epoch, clock: clock, now: now, journal: model.journal)
        }
    }

    private mutating func foreignRead() {
        guard isServerUp else { return }
        let timeout = Duration.milliseconds(dice.between(0, 800))
        _ = model.perform(.read(limit: 1 + dice.below(3), visibilityTimeout: timeout), now: clock)
    }

    // MARK: - The server

    private mutating func crashServer() {
        guard isServerUp else { return }
        trace?.note(now, "the server crashes")
        isServerUp = false
        epoch += 1
        for body in model.crash() where Ledger.trait(of: body) != .refusesAll {
            ledger.end(Ledger.token(of: body), .gone)
        }
        for index in daemons.indices { daemons[index].isRegistered = false }
        for index in daemons.indices { trouble(index) }
        events.put(.serverIsUp, at: now + dice.between(20_000, 500_000))
    }
}
