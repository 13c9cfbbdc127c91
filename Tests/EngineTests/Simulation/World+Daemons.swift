import Engine
import QueueModel

/// The shell around each flow: hands out what it decides, as `QueueConsumer` does.
extension World {
    mutating func dispatch(_ index: Int) {
        let time = instant(now)
        assigning: while let worker = daemons[index].idleWorkers.last {
            switch daemons[index].flow.take(worker: worker, now: time) {
            case .run(let message):
                daemons[index].idleWorkers.removeLast()
                runBegins(index, worker, message)
            case .read(let message, let fence):
                if let body = model.body(fence) {
                    daemons[index].idleWorkers.removeLast()
                    daemons[index].flow.hasRead(worker: worker)
                    runBegins(index, worker, message.with(Content(body: body, headers: nil)))
                } else {
                    daemons[index].flow.finished(worker: worker, verdict: .snooze(.zero), now: time)
                }
            case .stop:
                daemons[index].idleWorkers.removeLast()
            case .wait:
                break assigning
            }
        }
        while daemons[index].idlePumps > 0, let job = daemons[index].flow.nextJob(now: time) {
            daemons[index].idlePumps -= 1
            send(job, from: index)
        }
        if daemons[index].renewerIsIdle, let order = daemons[index].flow.nextRenewal(now: time) {
            daemons[index].renewerIsIdle = false
            request(.renew(order), from: index)
        }
        let (isFinished, alarm) = daemons[index].afterwards()
        if isFinished {
            let left = daemons[index].flow.snapshot(now: time)
            return ends(index, died: !left.runs.isEmpty || left.unsettled > 0)
        }
        if let alarm { arm(index, at: alarm) }
    }

    private mutating func arm(_ index: Int, at alarm: Instant) {
        // Rounded up: a timer that fires a little early fires again.
        let time = max(now, (alarm - Self.origin).inMicroseconds + 1)
        if let armed = daemons[index].armed, armed <= time { return }
        daemons[index].armed = time
        daemons[index].alarmSerial += 1
        let serial = daemons[index].alarmSerial
        events.put(.alarm(daemon: index, incarnation: daemons[index].incarnation, serial: serial), at: time)
    }

    mutating func alarm(_ index: Int) {
        daemons[index].armed = nil
        daemons[index].alarmsAtOnce = daemons[index].lastAlarm == now ? daemons[index].alarmsAtOnce + 1 : 0
        daemons[index].lastAlarm = now
        if daemons[index].alarmsAtOnce > 20 {
            ledger.fail("the alarm of daemon \(daemons[index].incarnation) fires again and again, and nothing is done")
        }
        cancel(index, daemons[index].flow.tick(now: instant(now)))
        dispatch(index)
    }

    // MARK: - Runs

    private mutating func runBegins(_ index: Int, _ worker: Int, _ message: Message) {
        guard let body = message.body else { return ledger.fail("a message that was not fetched is run") }
        let token = Ledger.token(of: body)
        guard let fence = daemons[index].flow.fence(worker: worker) else {
            return ledger.fail("a run of message \(message.id) without a lease")
        }
        let paused = daemons.indices.filter { daemons[$0].pausedUntil >= now }
        ledger.runBegan(
            token,
            daemon: index,
            incarnation: daemons[index].incarnation,
            worker: worker,
            fence: fence,
            paused: paused
        )
        runs += 1
        let endsAt = now + duration(of: ledger.tokens[token].nature, run: ledger.tokens[token].runs)
        daemons[index].runs[worker] = SimulatedDaemon.Run(token: token, serial: runs, endsAt: endsAt)
        events.put(.runEnds(daemon: index, worker: worker, run: runs), at: endsAt)
        trace?.note(now, "daemon \(daemons[index].incarnation) runs \(token) as \(fence)")
    }

    private mutating func duration(of nature: Nature, run: Int) -> Int64 {
        let timeout = plan.policy.visibilityTimeout.inMicroseconds
        switch nature {
        case .slow where run == 1: return timeout * 5
        case .long: return dice.between(timeout, timeout * 2)
        case .outlasting: return timeout * 2
        case .poison: return dice.between(500, 20_000)
        default: return plan.scenario == .load ? dice.between(30, 300) : dice.between(100, 30_000)
        }
    }

    mutating func cancel(_ index: Int, _ workers: [Int]) {
        for worker in workers {
            guard var run = daemons[index].runs[worker] else { continue }
            run.isCancelled = true
            runs += 1
            run.serial = runs
            // Most handlers heed it, some soon.
            run.endsAt = now + (dice.chance(90) ? dice.between(10, 3000) : dice.between(3000, 200_000))
            daemons[index].runs[worker] = run
            events.put(.runEnds(daemon: index, worker: worker, run: run.serial), at: run.endsAt)
            for active in ledger.active.indices
            where ledger.active[active].daemon == index && ledger.active[active].worker == worker {
                ledger.active[active].isCancelled = true
            }
            trace?.note(now, "daemon \(daemons[index].incarnation) cancels \(run.token)")
        }
    }

    mutating func runEnds(_ index: Int, _ worker: Int) {
        guard let run = daemons[index].runs[worker] else { return }
        let nature = ledger.tokens[run.token].nature
        if nature == .poison, plan.policy.runsInProcess, !run.isCancelled {
            trace?.note(now, "message \(run.token) kills its process")
            return ends(index, died: true)
        }
        let verdict = verdict(of: run, nature)
        daemons[index].runs[worker] = nil
        ledger.runEnded(daemon: index, worker: worker, verdict: verdict)
        trace?.note(now, "daemon \(daemons[index].incarnation) ran \(run.token): \(verdict)")
        daemons[index].flow.finished(worker: worker, verdict: verdict, now: instant(now))
        daemons[index].idleWorkers.append(worker)
        dispatch(index)
    }

    private mutating func verdict(of run: SimulatedDaemon.Run, _ nature: Nature) -> Verdict {
        if run.isCancelled { return dice.chance(20) ? .done : .failed("cancelled") }
        let token = ledger.tokens[run.token]
        switch nature {
        case .good, .slow, .long, .outlasting: return .done
        case .flaky(let times):
            if token.failures >= times { return .done }
            return dice.chance(50) ? .failed("flaky") : .retry(after: .milliseconds(15), reason: "flaky")
        case .doomed, .poison: return .failed("doomed")
        case .hopeless: return .deadLetter("hopeless")
        case .sleepy(let times): return token.snoozes >= times ? .done : .snooze(.milliseconds(dice.between(5, 900)))
        case .unstartable(let times): return token.runs > times ? .done : .notStarted("no such file")
        case .oversized, .unclaimable, .immovable, .unchangeable: return .failed("should not have run")
        }
    }
}
