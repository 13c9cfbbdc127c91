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
        case .probe: request(.probe, from: index)
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
        let (transaction, answer) = model.begin(operation(calls[id]), now: clock)
        if case .locked = answer {
            guard calls[id].waits < 3 else { return failsUnlessLate(id, .busy("lock timeout", smaller: false)) }
            calls[id].waits += 1
            return events.put(.executes(call: id), at: now + 15_000)
        }
        if let claim = calls[id].exchange?.claim, case .exchanged(_, let claimed) = answer {
            ledger.checkPassedOver(claim, claimed: claimed.count, model, clock: clock)
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
        case .renew(let fences): .renew(fences)
        case .closePhantoms(let held): .closePhantoms(daemon: call.incarnation, holding: held)
        case .register, .unregister, .probe: .probe
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
        ringsAfter(call)
        if call.fate == .late || (fault.believesBeforeSync && call.exchange != nil) { return }
        if call.fate == .replyLost { return fails(id, .unavailable("reply lost"), after: dice.between(500, 60_000)) }
        events.put(.replies(call: id), at: now + dice.between(20, plan.scenario == .load ? 200 : 2000))
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
        if case .renew(let fences) = call.request {
            daemons[index].renewerIsIdle = true
            if call.failure == nil, case .renewed(let results) = call.answer {
                let renewals = Renewals(results: results, sent: instant(call.sent))
                cancel(index, daemons[index].flow.renewed(fences, renewals, now: time))
            } else {
                daemons[index].flow.renewalFailed(now: time)
            }
            return dispatch(index)
        }
        daemons[index].idlePumps += 1
        switch call.request {
        case .exchange(let exchange):
            if call.failure == nil, case .exchanged(let refused, let claimed) = call.answer {
                ledger.believed(exchange, refused: refused)
                let result = ExchangeResult(
                    refused: refused,
                    claimed: claimed,
                    clock: call.clock,
                    sent: instant(call.sent)
                )
                daemons[index].flow.completed(exchange, result, now: time)
            } else {
                daemons[index].flow.failed(exchange, call.failure ?? .unavailable("no answer"), now: time)
            }
        case .closePhantoms:
            if call.failure != nil, daemons[index].stopUntil != nil { daemons[index].leavesPhantoms = true }
            daemons[index].flow.closedPhantoms(call.failure, now: time)
        case .register:
            daemons[index].flow.registered(call.failure == nil ? true : nil, now: time)
        case .unregister:
            daemons[index].flow.unregistered()
        case .probe:
            if call.failure == nil, case .probed(let probe) = call.answer {
                daemons[index].flow.probed(probe, now: time)
            } else {
                daemons[index].flow.probed(nil, now: time)
            }
        case .renew:
            break
        }
        dispatch(index)
    }
}
