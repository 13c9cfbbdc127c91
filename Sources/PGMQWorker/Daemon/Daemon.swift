import Engine
import Foundation
import Logging
import PGMQ
import ServiceLifecycle
import Systemd

/// A worker daemon: a configuration and its handlers, assembled as one group of services.
///
/// The array of services is their order: each may use those before it, and is stopped before them.
public struct Daemon: Sendable {
    public static let version = "0.1.0"

    private let configuration: Configuration
    private let manager: ServiceManager
    private let logger: Logger
    private let database: PGMQ.Database
    private let queues: [PGMQQueue]
    private let consumers: [QueueConsumer]
    private let trace: CrashTrace

    /// - Throws: ``StartError`` if a handler cannot be had.
    public init(
        configuration: Configuration,
        handlers: HandlerRegistry = HandlerRegistry(),
        manager: ServiceManager = .fromEnvironment(),
        logger: Logger
    ) throws(StartError) {
        self.configuration = configuration
        self.manager = manager
        self.logger = logger
        let identity = DaemonIdentity(
            daemon: UUID().uuidString.lowercased(),
            host: ProcessInfo.processInfo.hostName,
            version: Self.version
        )
        let database = PGMQ.Database(
            settings: .init(
                url: configuration.database.url.value,
                listenURL: configuration.database.listenURL?.value,
                callDeadline: configuration.database.callDeadline
            ),
            identity: identity,
            logger: logger
        )
        self.database = database
        let traced = configuration.queues.filter(\.tracesFirstDeliveries)
        let trace = CrashTrace(slots: traced.reduce(0) { $0 + $1.workers })
        self.trace = trace
        var queues: [PGMQQueue] = []
        var consumers: [QueueConsumer] = []
        for queue in configuration.queues {
            let port = PGMQQueue(name: QueueName(queue.writtenName), options: QueueOptions(queue), database: database)
            let consumer = QueueConsumer(
                policy: QueuePolicy(queue, share: configuration.daemon.maxInflightBytes / configuration.queues.count),
                queue: port,
                handler: try handlers.handler(for: queue, trace: trace),
                logger: logger
            )
            port.connect { [weak consumer] wake in consumer?.wake(wake) }
            queues.append(port)
            consumers.append(consumer)
        }
        self.queues = queues
        self.consumers = consumers
    }

    /// Runs until a signal stops it.
    ///
    /// - Throws: ``StartError`` where the configuration turns out to be wrong.
    public func run() async throws {
        logger.notice(
            "starting",
            metadata: [
                "version": "\(Self.version)",
                "queues": "\(consumers.map(\.name).joined(separator: ","))",
                "workers": "\(configuration.queues.reduce(0) { $0 + $1.workers })",
                "connections": "\(database.connections)",
            ]
        )
        if configuration.admin.listen != nil {
            logger.warning("admin.listen ignored, because this version serves nothing there")
        }
        beginTraces()
        defer { trace.remove() }
        let consuming = ConsumerService(consumers: consumers, grace: configuration.daemon.shutdownGrace)
        let reporter = Reporter(
            manager: manager,
            database: database,
            consumers: consumers,
            callDeadline: configuration.database.callDeadline,
            logger: logger
        )
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: DatabaseService(database: database)),
                    .init(service: StartCheck(database: database)),
                    .init(service: Housekeeping(queues: queues, logger: logger)),
                    .init(service: reporter),
                    .init(service: consuming, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: logger[quiet: .warning]
            )
        )
        let signals = Signals { signal in
            switch signal {
            case .stop(let isFirst):
                if isFirst {
                    trace.noteStop()
                    reporter.stopping(grace: configuration.daemon.shutdownGrace)
                    Task { await group.triggerGracefulShutdown() }
                } else {
                    consuming.stopNow()
                }
            case .quiet:
                logger.notice("quiet; no queue claims messages until SIGCONT")
                for consumer in consumers { consumer.quiet() }
            case .resume:
                // It is sent after a SIGSTOP, too.
                if consumers.contains(where: { $0.snapshot().isQuiet }) { logger.notice("resumed") }
                for consumer in consumers { consumer.resume() }
            case .dump:
                reporter.dump()
            case .reload:
                logger.warning(
                    "reload ignored, because this version cannot reload; restart to apply a changed configuration"
                )
            }
        }
        defer { signals.cancel() }
        try await group.run()
        logger.notice("stopped")
    }

    // MARK: - Crash traces

    /// Hands the traces of dead daemons to their queues, and begins this daemon's own. Nothing here keeps the daemon
    /// from working.
    private func beginTraces() {
        let isOfUse = configuration.queues.contains(where: \.tracesFirstDeliveries)
        guard let folder = configuration.daemon.stateDirectory else {
            if isOfUse {
                logger.notice(
                    """
                    crash traces off, because there is no state directory; a first delivery that ends the process leaves no \
                    trace; set daemon.state_directory, or StateDirectory= in the unit
                    """
                )
            }
            return
        }
        for dead in DeadDaemon.find(in: folder, logger: logger) { journal(dead) }
        guard isOfUse else { return }
        do throws(TraceFailure) {
            try trace.open(in: folder, as: database.identity)
        } catch {
            logger.warning(
                "crash traces off; a first delivery that ends the process leaves no trace",
                metadata: ["reason": "\(error)"]
            )
        }
    }

    private func journal(_ dead: DeadDaemon) {
        let ports = Dictionary(zip(configuration.queues.map(\.name), queues), uniquingKeysWith: { first, _ in first })
        for (queue, deliveries) in dead.contents.running.sorted(by: { $0.key < $1.key }) {
            let metadata: Logger.Metadata = [
                "queue": "\(queue)",
                "daemon": "\(dead.contents.daemon.daemon)",
                "msg_ids": "\(deliveries.prefix(20).map { "\($0.messageID)" }.joined(separator: ","))",
            ]
            guard let port = ports[queue] else {
                // It may be another daemon's, which shares the folder. After a week the file goes.
                logger.notice("crash traces left, because this daemon does not work their queue", metadata: metadata)
                continue
            }
            logger.warning("crash traces found; these first deliveries ran when their daemon died", metadata: metadata)
            port.journalBeforeClaiming(deliveries) { dead.settle(queue) }
        }
    }
}

extension Logger {
    /// Its own events at this level and above only.
    subscript(quiet level: Logger.Level) -> Logger {
        var copy = self
        copy.logLevel = max(logLevel, level)
        return copy
    }
}

extension QueueOptions {
    public init(_ queue: QueueConfiguration) {
        self.init(
            visibilityTimeout: queue.visibilityTimeout,
            maxMessageBytes: queue.maxMessageBytes,
            archives: queue.onSuccess == .archive,
            durable: queue.durable,
            deadLetter: QueueName(queue.deadLetter),
            suspectedAfter: queue.handler.runsInProcess ? max(1, queue.maxCrashes - 1) : Int(Int32.max)
        )
    }
}

extension QueuePolicy {
    /// - Parameter share: the bytes that this queue may hold of those for all.
    init(_ queue: QueueConfiguration, share: Int) {
        self.init(
            name: queue.name,
            workers: queue.workers,
            visibilityTimeout: queue.visibilityTimeout,
            handlerTimeout: queue.handlerTimeout,
            retry: queue.retry,
            maxCrashes: queue.maxCrashes,
            runsInProcess: queue.handler.runsInProcess,
            maxMessageBytes: queue.maxMessageBytes,
            maxInflightBytes: share,
            pollInterval: queue.pollInterval
        )
    }
}

extension HandlerConfiguration {
    var runsInProcess: Bool {
        switch self {
        case .command, .discard: false
        case .swift: true
        }
    }
}
