import Engine
import QueueModel

/// The way of a request: sent, executed, committed, answered; and what can go wrong at each step.
extension World {
    mutating func send(_ job: Job, from index: Int) {
        switch job {
        case .exchange(let exchange): request(.exchange(exchange), from: index)
        case .closePhantoms(let held): request(.closePhantoms(held), from: index)
        case .register: request(.register, from: index)
        case .unregister: request(.unregister, from: index)
        case .probe(_, let passedOver): request(.probe(passedOver), from: index)
        case .list(let claim): request(.list(claim), from: index)
        case .watch(let passedOver): request(.watch(passedOver), from: index)
        }
    }

    mutating func request(_ request: Call.Request, from index: Int) {
        let fate = fate(of: request, from: index)
        if case .exchange(let exchange) = request, actionsLeft > 0 { ledger.claims(exchange, now: now) }
        if fate != .served { trouble(index) }
        let id = calls.count
        calls.append(
            Call(daemon: index, incarnation: daemons[index].incarnation, request: request, sent: now, fate: fate)
        )
        trace?.note(now, "daemon \(daemons[index].incarnation) sends #\(id) \(request), \(fate)")
        switch fate {
        case .served where request.isWatch:
            // It waits at the server.
            events.put(.executes(call: id), at: now + dice.between(1000, 200_000))
        case .served, .replyLost, .failsAtCommit:
            events.put(.executes(call: id), at: now + dice.between(50, plan.scenario == .load ? 400 : 2000))
        case .lost:
            fails(id, .unavailable("lost"), after: dice.between(1000, 60_000))
        case .late:
            let timeout = plan.policy.visibilityTimeout.inMicroseconds
            fails(id, .unavailable("late"), after: dice.between(1000, timeout / 8))
            // The server gives a statement up before a third of the visibility timeout has passed.
            events.put(.executes(call: id), at: now + dice.between(1000, timeout / 4))
        }
    }

    private mutating func fate(of request: Call.Request, from index: Int) -> Call.Fate {
        if case .renew = request, renewalsFailUntil > now { return .lost }
        if case .register = request, plan.scenario == .idle, dice.chance(40) { return .lost }
        guard plan.scenario == .storm, !isHealed else { return .served }
        if daemons[index].cutUntil > now { return .lost }
        guard dice.chance(6) else { return .served }
        switch dice.below(10) {
        case 0, 1: return .lost
        case 2, 3, 4: return .replyLost
        case 5, 6: return .late
        case 7: return .failsAtCommit(.busy("deadlock", smaller: dice.chance(50)))
        case 8: return .failsAtCommit(.exhausted("disk full"))
        default: return .failsAtCommit(.unavailable("gone at commit"))
        }
    }

    private mutating func fails(_ id: Int, _ failure: QueueFailure, after delay: Int64) {
        calls[id].failure = failure
        switch failure {
        case .unavailable, .overdue: lastUnknown[calls[id].incarnation] = now + delay
        default: break
        }
        switch failure {
        // An outcome that cannot be written is tried again in up to half a minute, and its row is open until then.
        case .rejected, .conflict, .refused: trouble(calls[id].daemon, for: 40_000_000)
        default: trouble(calls[id].daemon)
        }
        events.put(.replies(call: id), at: now + delay)
    }

    // MARK: - At the server

    mutating func executes(_ id: Int) {
        guard isServerUp else { return failsUnlessLate(id, .unavailable("server is down")) }
        if let refusal = refusal(of: calls[id].request) { return failsUnlessLate(id, refusal) }
        calls[id].epoch = epoch
        calls[id].clock = clock
        model.swallowsDeletes = deletesAreSwallowedUntil > now
        model.refusesClaims = claimsAreRefusedUntil > now
        let (transaction, answer) = model.begin(operation(calls[id]), now: clock)
        if case .rejected = answer { return failsUnlessLate(id, .rejected("a row refuses it")) }
        if case .locked = answer {
            guard calls[id].waits < 3 else { return failsUnlessLate(id, .busy("lock timeout", smaller: false)) }
            calls[id].waits += 1
            return events.put(.executes(call: id), at: now + 15_000)
        }
        if let claim = calls[id].exchange?.claim, case .exchanged(let changes) = answer {
            ledger.checkPassedOver(claim, claimed: changes.claimed.count, model, clock: clock)
        }
        calls[id].transaction = transaction
        calls[id].answer = answer
        if fault.believesBeforeSync, calls[id].exchange != nil, calls[id].fate != .late {
            events.put(.replies(call: id), at: now + dice.between(50, 500))
        }
        let dawdles = plan.scenario == .storm && dice.chance(3)
        events.put(.commits(call: id), at: now + (dawdles ? dice.between(500, 80_000) : dice.between(20, 400)))
    }

    private mutating func failsUnlessLate(_ id: Int, _ failure: QueueFailure) {
        if calls[id].fate != .late { fails(id, failure, after: dice.between(50, 2000)) }
    }

    private func operation(_ call: Call) -> Operation {
        switch call.request {
        case .exchange(let exchange): .exchange(exchange, daemon: call.incarnation)
        case .renew(let order): .renew(order.fences, notAfter: order.notAfter)
        case .closePhantoms(let held): .closePhantoms(daemon: call.incarnation, holding: held)
        case .list(let claim): .list(claim)
        case .probe(let passedOver), .watch(let passedOver): .probe(passingOver: passedOver)
        case .register, .unregister: .probe(passingOver: [])
        }
    }

    /// What the server says without doing anything.
    private func refusal(of request: Call.Request) -> QueueFailure? {
        guard case .exchange(let exchange) = request else { return nil }
        if exhaustedUntil > now, exchange.claim != nil { return .exhausted("too many connections") }
        for settlement in exchange.settlements {
            if deadLettersFailUntil > now, case .deadLetter = settlement.outcome {
                return .refused("no dead-letter queue")
            }
            if let unsettleable, unsettleable.until > now, let row = model.row(settlement.fence.messageID),
                Ledger.token(of: row.body) == unsettleable.token
            {
                return .rejected("cannot be written")
            }
        }
        return nil
    }

    mutating func commits(_ id: Int) {
        let call = calls[id]
        guard call.epoch == epoch else { return failsUnlessLate(id, .unavailable("server crashed")) }
        if case .failsAtCommit(let failure) = call.fate {
            model.rollback(call.transaction)
            if !fault.believesBeforeSync || call.exchange == nil { fails(id, failure, after: dice.between(50, 2000)) }
            return
        }
        for fact in model.commit(call.transaction) {
            ledger.saw(
                fact,
                incarnation: call.incarnation,
                epoch: epoch,
                clock: call.clock,
                now: now,
                journal: model.journal
            )
        }
        switch call.request {
        case .register where isCurrent(call): daemons[call.daemon].isRegistered = true
        case .unregister where isCurrent(call): daemons[call.daemon].isRegistered = false
        default: break
        }
        ringsAfter(call)
        if call.fate == .late || (fault.believesBeforeSync && call.exchange != nil) { return }
        if call.fate == .replyLost { return fails(id, .unavailable("reply lost"), after: dice.between(500, 60_000)) }
        events.put(.replies(call: id), at: now + dice.between(20, plan.scenario == .load ? 200 : 2000))
    }

    private func isCurrent(_ call: Call) -> Bool {
        daemons[call.daemon].isUp && daemons[call.daemon].incarnation == call.incarnation
    }

    /// Handing a message back rings.
    private mutating func ringsAfter(_ call: Call) {
        guard let exchange = call.exchange,
            exchange.settlements.contains(where: { $0.outcome == .released(after: .zero) })
        else { return }
        for index in daemons.indices where dice.chance(80) {
            events.put(.wakes(daemon: index, .notified), at: now + dice.between(100, 3000))
        }
    }

    // MARK: - At the daemon

    mutating func replies(_ id: Int) {
        let call = calls[id]
        let index = call.daemon
        let time = instant(now)
        trace?.note(now, "reply to #\(id): \(call.failure.map { "\($0)" } ?? call.answer.map { "\($0)" } ?? "-")")
        if case .renew(let order) = call.request {
            let fences = order.fences
            daemons[index].renewerIsIdle = true
            if call.failure == nil, case .renewed(let results) = call.answer {
                let renewals = Renewals(results: results, sent: instant(call.sent))
                cancel(index, daemons[index].flow.renewed(fences, renewals, now: time))
            } else if fault.neglects == .failedRenewal {
                let skipped = Renewals(results: fences.map { _ in .skipped }, sent: instant(call.sent))
                cancel(index, daemons[index].flow.renewed(fences, skipped, now: time))
            } else {
                daemons[index].flow.renewalFailed(now: time)
            }
            return dispatch(index)
        }
        daemons[index].idlePumps += 1
        switch call.request {
        case .exchange(let exchange):
            if call.failure == nil, case .exchanged(let changes) = call.answer {
                ledger.believed(exchange, refused: changes.refused)
                var result = changes.result(clock: call.clock, sent: instant(call.sent))
                if fault.neglects == .keptRows { result.kept = [] }
                daemons[index].flow.completed(exchange, result, now: time)
            } else {
                var failure = call.failure ?? .unavailable("no answer")
                if fault.neglects == .refusedClaims, case .rejected(let reason) = failure, exchange.claim != nil {
                    failure = .refused(reason)
                }
                daemons[index].flow.failed(exchange, failure, now: time)
            }
        case .closePhantoms:
            if call.failure != nil, daemons[index].stopUntil != nil { daemons[index].leavesPhantoms = true }
            daemons[index].flow.closedPhantoms(call.failure, now: time)
        case .register:
            let isKnown = call.failure == nil || fault.neglects == .failedRegistration
            daemons[index].flow.registered(isKnown ? true : nil, now: time)
        case .unregister:
            daemons[index].flow.unregistered()
        case .probe:
            if call.failure == nil, case .probed(let probe) = call.answer {
                daemons[index].flow.probed(probe, now: time)
            } else {
                daemons[index].flow.probed(nil, now: time)
            }
        case .watch(let passedOver):
            let took = Duration.microseconds(now - call.sent)
            daemons[index].flow.watched(call.failure == nil ? watched(passedOver) : nil, took: took, now: time)
        case .list:
            if call.failure == nil, case .listed(let candidates) = call.answer {
                daemons[index].flow.listed(.success(candidates), now: time)
            } else {
                daemons[index].flow.listed(.failure(call.failure ?? .unavailable("no answer")), now: time)
            }
        case .renew:
            break
        }
        dispatch(index)
    }

    /// What a wait for the first visible row finds at its end.
    private func watched(_ passedOver: [Int64]) -> Watched {
        let visible = model.rows.filter { row in
            !passedOver.contains(row.id) && row.committed.map { $0.vt <= clock } ?? false
        }
        if visible.isEmpty { return .nothing }
        return visible.contains { $0.lockedBy == 0 } ? .free : .stillLocked
    }
}

extension Call.Request {
    fileprivate var isWatch: Bool {
        if case .watch = self { true } else { false }
    }
}
