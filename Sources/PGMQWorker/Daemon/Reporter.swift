import Engine
import Logging
import PGMQ
import ServiceLifecycle
import Synchronization
import Systemd

/// Tells the service manager how things are: READY, STATUS, and WATCHDOG as long as every loop proves that it turns.
final class Reporter: Service {
    private struct State {
        var isReady = false
        var stopDeadline: Instant?
        var stuck: Set<String> = []
        /// What the service manager has. A datagram that finds its queue full is lost, and sent again at the next turn.
        var toldReady = false
        var toldStopping = false
        var lastStatus = ""
        var readyTries = 0
    }

    /// How often the status line may change.
    private static let statusInterval: Duration = .seconds(5)

    private let manager: ServiceManager
    private let database: PGMQ.Database
    private let consumers: [QueueConsumer]
    private let callDeadline: Duration
    private let logger: Logger
    private let state = Mutex(State())
    /// Held while the service manager is told how the service stands: never STOPPING twice, nor READY behind it.
    private let telling = Mutex(())
    /// So often READY is tried at once: where nobody listens, the daemon is not kept awake for it.
    private static let hastyTries = 100

    init(
        manager: ServiceManager,
        database: PGMQ.Database,
        consumers: [QueueConsumer],
        callDeadline: Duration,
        logger: Logger
    ) {
        self.manager = manager
        self.database = database
        self.consumers = consumers
        self.callDeadline = callDeadline
        self.logger = logger
    }

    /// Goes on while the consumers drain: it is stopped after them.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.report()
        }
    }

    private func report() async {
        let interval = min(manager.watchdogInterval.map { $0 / 2 } ?? Self.statusInterval, Self.statusInterval)
        while !Task.isCancelled {
            let asked = Instant.now
            for consumer in consumers { consumer.requestTurn() }
            // The first turns make it ready; later ones are waited for no longer than the watchdog allows.
            try? await Task.sleep(for: pause(interval))
            let stuck = self.stuck(since: asked, interval: interval)
            tell(stuck)
        }
    }

    private func pause(_ interval: Duration) -> Duration {
        let known = state.withLock { $0 }
        if !known.isReady { return .milliseconds(5) }
        // A unit is not active before, and is killed if it takes too long.
        let hastens = manager.isPresent && !known.toldReady && known.readyTries < Self.hastyTries
        return hastens && known.stopDeadline == nil ? min(interval, .milliseconds(200)) : interval
    }

    private func tell(_ stuck: Set<String>) {
        let news = state.withLock { state -> (ready: Bool, fresh: Set<String>, recovered: Bool) in
            let fresh = stuck.subtracting(state.stuck)
            let recovered = stuck.isEmpty && !state.stuck.isEmpty
            let ready = !state.isReady && stuck.isEmpty
            if ready { state.isReady = true }
            if state.isReady { state.stuck = stuck }
            return (ready, fresh, recovered)
        }
        guard state.withLock({ $0.isReady }) else { return }
        let status = statusLine()
        tellManager(status)
        if news.ready { logger.notice("ready", metadata: ["status": "\(status)"]) }
        for loop in news.fresh {
            logger.critical("loop stalled; the watchdog is not fed", metadata: ["loop": "\(loop)"])
        }
        if news.recovered { logger.notice("loops resumed") }
        if stuck.isEmpty { _ = manager.watchdog() }
        if let deadline = state.withLock({ $0.stopDeadline }), deadline > .now {
            manager.extendTimeout(.seconds(15))
        }
    }

    /// What the service manager does not have yet.
    private func tellManager(_ status: String) {
        telling.withLock { _ in tellNews(status) }
    }

    private func tellNews(_ status: String) {
        let known = state.withLock { $0 }
        var sent = false
        if known.stopDeadline != nil, !known.toldStopping {
            sent = manager.stopping(status: status)
            if sent { state.withLock { $0.toldStopping = true } }
        } else if known.stopDeadline == nil, !known.toldReady {
            sent = manager.ready(status: status)
            state.withLock { state in
                state.toldReady = sent
                state.readyTries += 1
            }
        } else if known.lastStatus != status {
            sent = manager.status(status)
        }
        if sent { state.withLock { $0.lastStatus = status } }
    }

    /// The loops that have not turned. A call to the database may take its deadline; who waits in line for one of the
    /// few connections may wait for all before him; and while the database is away, which is declared and told, it may
    /// take as long as it takes.
    private func stuck(since asked: Instant, interval: Duration) -> Set<String> {
        var stuck: Set<String> = []
        let isAway = database.availability.outage != nil || !database.availability.isConnected
        let patience = callDeadline * 4 + interval
        let patienceInLine = patience + callDeadline * 4 * consumers.count
        if let loan = database.longestLoan, loan > patience { stuck.insert("database call") }
        for consumer in consumers where !consumer.hasEnded {
            let pulse = consumer.pulse
            let turned = pulse.lastTurn.map { $0 >= asked - interval } ?? false
            let overruns = pulse.busySince.map { .now - $0 > patienceInLine } ?? false
            let allAtWork = pulse.busy == consumer.pumps
            if !turned && !allAtWork || overruns && !isAway { stuck.insert(consumer.name) }
            let renewing = earliest(pulse.renewingSince, consumer.renewalDue)
            if let renewing, !isAway, .now - renewing > patienceInLine { stuck.insert("\(consumer.name) renewal") }
        }
        if let turned = database.listenerTurned, !isAway, .now - turned > PGMQ.Database.listenerInterval + patience {
            if database.isListenerConnected { stuck.insert("listener") }
        }
        return stuck
    }

    // MARK: - Text

    func stopping(grace: Duration) {
        let allowance = consumers.map(\.flushAllowance).max() ?? .zero
        telling.withLock { _ in
            state.withLock { $0.stopDeadline = .now + grace + allowance }
            let isTold = manager.stopping(status: "Stopping; running handlers have \(grace)")
            state.withLock { $0.toldStopping = isTold }
        }
        logger.notice("stopping", metadata: ["grace": "\(grace)"])
    }

    private func statusLine() -> String {
        let snapshots = consumers.map { $0.snapshot() }
        let running = snapshots.reduce(0) { $0 + $1.runs.count }
        let workers = snapshots.reduce(0) { $0 + $1.workers }
        var parts: [String] = []
        if let deadline = state.withLock({ $0.stopDeadline }) {
            let left = max(0, Int((deadline - .now).components.seconds))
            parts.append("Stopping: \(running) handlers running, at most \(left) s left")
        } else if let outage = database.availability.outage {
            parts.append("Database unreachable for \(outage.lasting.components.seconds) s: \(outage.reason)")
        } else {
            parts.append(
                "Processing \(running)/\(workers) in \(snapshots.count) queue\(snapshots.count == 1 ? "" : "s")"
            )
        }
        let counters = snapshots.map(\.counters)
        parts.append("done \(counters.reduce(0) { $0 + $1.done })")
        for (word, count) in [
            ("retried", counters.reduce(0) { $0 + $1.retried }),
            ("dead-lettered", counters.reduce(0) { $0 + $1.deadLettered }),
            ("lost", counters.reduce(0) { $0 + $1.lost }),
        ] where count > 0 {
            parts.append("\(word) \(count)")
        }
        for snapshot in snapshots {
            if let reason = snapshot.paused { parts.append("\(snapshot.queue) paused: \(reason)") }
        }
        if snapshots.contains(where: \.isQuiet) { parts.append("quiet, SIGCONT resumes") }
        if database.availability.isConnected, database.availability.outage == nil {
            if database.isDeaf {
                parts.append("polling, because LISTEN delivers no notifications")
            } else if let away = database.listenerAway, away > .seconds(10) {
                parts.append("polling, because the LISTEN connection is unreachable")
            }
        }
        return parts.joined(separator: "; ")
    }

    /// What every worker is doing, to the log.
    func dump() {
        for consumer in consumers {
            let snapshot = consumer.snapshot()
            logger.notice(
                "queue",
                metadata: [
                    "queue": "\(snapshot.queue)",
                    "running": "\(snapshot.runs.count)/\(snapshot.workers)",
                    "waiting": "\(snapshot.waiting)",
                    "unsettled": "\(snapshot.unsettled)",
                    "done": "\(snapshot.counters.done)",
                    "retried": "\(snapshot.counters.retried)",
                    "dead_lettered": "\(snapshot.counters.deadLettered)",
                    "released": "\(snapshot.counters.released)",
                    "lost": "\(snapshot.counters.lost)",
                    "asleep": "\(snapshot.isAsleep)",
                    "quiet": "\(snapshot.isQuiet)",
                    "paused": "\(snapshot.paused ?? "no")",
                ]
            )
            for run in snapshot.runs {
                logger.notice(
                    "worker",
                    metadata: [
                        "worker": "\(snapshot.queue)-\(run.worker)",
                        "msg_id": "\(run.messageID)",
                        "attempt": "\(run.attempt)",
                        "running": "\(run.running)",
                    ]
                )
            }
        }
    }
}
