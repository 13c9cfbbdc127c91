import Engine
import QueueModel

/// What happened, when a seed is replayed. A class, so that a line costs nothing where nobody reads it.
final class Trace {
    private(set) var lines: [String] = []

    func note(_ time: Int64, _ line: String) {
        lines.append("\(time) \(line)")
    }
}

/// Three daemons, a server, producers and what befalls them: one seed's history, event by event.
struct World {
    let plan: Plan
    let fault: PlantedFault
    var dice: Dice
    var now: Int64 = 0
    var events = EventQueue()
    var eventCount = 0
    var daemons: [SimulatedDaemon] = []
    var calls: [Call] = []
    var model: QueueModel
    var ledger: Ledger
    var incarnations = 0
    var runs = 0
    var actionsLeft: Int
    var isHealed = false
    var healedAt: Int64 = 0
    /// When something was last open.
    var endedAt: Int64 = 0
    /// Counts the server's lives.
    var epoch = 0
    var isServerUp = true
    /// The server's clock against ours; a step back lowers it.
    var clockOffset: Int64 = 1_700_000_000_000_000
    var deadLettersFailUntil: Int64 = 0
    var exhaustedUntil: Int64 = 0
    /// Outcomes of this message are rejected until then.
    var unsettleable: (token: Int, until: Int64)?
    var renewalsFailUntil: Int64 = 0
    var deletesAreSwallowedUntil: Int64 = 0
    var claimsAreRefusedUntil: Int64 = 0
    let trace: Trace?
    /// When a call of this daemon's life last ended without an answer: a claim of it may land after a stop.
    var lastUnknown: [Int: Int64] = [:]

    static let origin = Instant.now
    /// Real time after which a healed world must have come to rest; a condemned message alone waits a minute.
    static let patience: Int64 = 240_000_000
    static let mostEvents = 60_000
    static let fewestEvents = 200

    init(seed: UInt64, fault: PlantedFault = PlantedFault(), only scenario: Scenario? = nil, traced: Bool = false) {
        plan = Plan(seed: seed, fault: fault, only: scenario)
        self.fault = fault
        dice = Dice(seed: seed)
        model = QueueModel(plan.settings)
        ledger = Ledger(plan: plan)
        actionsLeft = plan.actions
        trace = traced ? Trace() : nil
    }

    var clock: Timestamp { Timestamp(microseconds: now + clockOffset) }

    func instant(_ time: Int64) -> Instant { Self.origin + .microseconds(time) }

    // MARK: - The loop

    /// - Returns: what went wrong, or nil.
    mutating func run() -> String? {
        for index in 0..<plan.daemons { start(index) }
        events.put(.act, at: 1000)
        events.put(.flush, at: 100_000)
        while ledger.violation == nil, let (time, event) = events.next() {
            now = time
            eventCount += 1
            if isHealed {
                if ledger.open == 0, now > max(healedAt, endedAt) + 3_000_000, isAtRest { break }
                if ledger.open > 0 { endedAt = now }
                if now > healedAt + Self.patience {
                    ledger.fail("not at rest \(now - healedAt) µs after all was well: \(states)")
                }
            }
            if eventCount > Self.mostEvents { ledger.fail("a storm of events: something spins") }
            handle(event)
        }
        if ledger.violation == nil { ledger.close() }
        let left = model.rows.filter { Ledger.trait(of: $0.body) != .refusesAll }
        if ledger.violation == nil, !left.isEmpty { ledger.fail("rows are left: \(left)") }
        if ledger.violation == nil, eventCount < Self.fewestEvents { ledger.fail("no more than \(eventCount) events") }
        return ledger.violation
    }

    /// With nothing to do, every daemon has let go of everything and sleeps.
    private var isAtRest: Bool {
        daemons.allSatisfy { daemon in
            let snapshot = daemon.flow.snapshot(now: instant(now))
            return daemon.isUp && snapshot.isAsleep && snapshot.waiting + snapshot.unsettled == 0
                && snapshot.runs.isEmpty
        }
    }

    private var states: [Snapshot] { daemons.map { $0.flow.snapshot(now: instant(now)) } }

    private mutating func handle(_ event: Event) {
        switch event {
        case .act:
            isHealed ? goOn() : act()
        case .alarm(let daemon, let incarnation, let serial):
            guard isCurrent(daemon, incarnation), daemons[daemon].alarmSerial == serial, !deferred(event, daemon) else {
                return
            }
            alarm(daemon)
        case .runEnds(let daemon, let worker, let run):
            guard daemons[daemon].isUp, daemons[daemon].runs[worker]?.serial == run, !deferred(event, daemon) else {
                return
            }
            runEnds(daemon, worker)
        case .executes(let call):
            executes(call)
        case .commits(let call):
            commits(call)
        case .replies(let call):
            let daemon = calls[call].daemon
            guard isCurrent(daemon, calls[call].incarnation), !deferred(event, daemon) else { return }
            replies(call)
        case .sendEnds(let transaction, let epoch, let commits, let first, let count):
            sendEnds(transaction, epoch: epoch, commits: commits, first: first, count: count)
        case .lockEnds(let transaction, let epoch):
            if epoch == self.epoch { model.rollback(transaction) }
        case .wakes(let daemon, let wake):
            guard daemons[daemon].isUp, !deferred(event, daemon) else { return }
            daemons[daemon].flow.hint(wake, now: instant(now))
            dispatch(daemon)
        case .starts(let daemon, let incarnation):
            if daemons[daemon].incarnation == incarnation, !daemons[daemon].isUp { start(daemon) }
        case .resumes(let daemon):
            guard daemons[daemon].isUp, !deferred(event, daemon) else { return }
            daemons[daemon].flow.resume(now: instant(now))
            dispatch(daemon)
        case .serverIsUp:
            isServerUp = true
            for daemon in daemons.indices {
                events.put(.wakes(daemon: daemon, .reconnected), at: now + dice.between(500, 80_000))
            }
        case .flush:
            model.flush()
            if !isHealed { events.put(.flush, at: now + dice.between(20_000, 200_000)) }
        case .heals:
            heal()
        }
    }

    private func isCurrent(_ daemon: Int, _ incarnation: Int) -> Bool {
        daemons[daemon].isUp && daemons[daemon].incarnation == incarnation
    }

    /// A paused process sees everything later, and all at once.
    private mutating func deferred(_ event: Event, _ daemon: Int) -> Bool {
        guard daemons[daemon].pausedUntil > now else { return false }
        events.put(event, at: daemons[daemon].pausedUntil)
        return true
    }

    // MARK: - Lives

    mutating func start(_ index: Int) {
        var daemon = SimulatedDaemon(policy: plan.policy, incarnation: incarnations, seed: dice.next(), fault: fault)
        incarnations += 1
        ledger.died.append(false)
        ledger.lastTrouble.append(.min / 2)
        trace?.note(now, "daemon \(daemon.incarnation) starts at place \(index)")
        daemon.flow.hint(.listening(dice.chance(80)), now: instant(now))
        if index < daemons.count {
            daemon.cutUntil = daemons[index].cutUntil
            daemons[index] = daemon
        } else {
            daemons.append(daemon)
        }
        dispatch(index)
    }

    /// The process is gone: killed, or ended by itself.
    mutating func ends(_ index: Int, died: Bool) {
        let incarnation = daemons[index].incarnation
        trace?.note(now, "daemon \(incarnation) \(died ? "dies" : "has stopped")")
        daemons[index].isUp = false
        daemons[index].pausedUntil = 0
        // A stop that ran out of time may leave rows of claims it never heard of.
        let wasCutShort =
            daemons[index].leavesPhantoms || daemons[index].stopUntil.map { $0 <= now } ?? false
            || lastUnknown[incarnation, default: .min] > now - plan.policy.visibilityTimeout.inMicroseconds
        ledger.died[incarnation] = died || wasCutShort
        if !died, !wasCutShort {
            let rows = model.journal.openRows(of: incarnation)
            if let row = rows.first { ledger.fail("daemon \(incarnation) stopped and left \(row) open") }
        }
        daemons[index].isRegistered = false
        for worker in daemons[index].runs.indices where daemons[index].runs[worker] != nil {
            if !died { ledger.fail("daemon \(incarnation) stopped while its worker \(worker) ran") }
            ledger.runEnded(daemon: index, worker: worker, verdict: nil)
            daemons[index].runs[worker] = nil
        }
        events.put(.starts(daemon: index, incarnation: incarnation), at: now + dice.between(5_000, 400_000))
    }

    mutating func trouble(_ index: Int, for time: Int64 = 0) {
        let incarnation = daemons[index].incarnation
        let until = max(now + time, daemons[index].pausedUntil, daemons[index].cutUntil)
        ledger.lastTrouble[incarnation] = max(ledger.lastTrouble[incarnation], until)
    }

    private mutating func heal() {
        isHealed = true
        healedAt = now
        trace?.note(now, "all is well")
        deadLettersFailUntil = 0
        exhaustedUntil = 0
        unsettleable = nil
        renewalsFailUntil = 0
        deletesAreSwallowedUntil = 0
        claimsAreRefusedUntil = 0
        events.put(.act, at: now + 1_000_000)
        for index in daemons.indices {
            daemons[index].cutUntil = 0
            events.put(.resumes(daemon: index), at: max(now, daemons[index].pausedUntil) + 1)
            events.put(.wakes(daemon: index, .reconnected), at: max(now, daemons[index].pausedUntil) + 2)
        }
    }
}
