import Engine
import Logging
import Postgres
import Synchronization

/// A daemon's connections, by role: two for work, one to renew, one to listen. Their number grows with nothing.
public final class Database: Sendable {
    public struct Settings: Sendable {
        public var url: String
        /// A direct connection where `url` goes through a pooler.
        public var listenURL: String?
        public var callDeadline: Duration
        public var workConnections: Int

        public init(
            url: String,
            listenURL: String? = nil,
            callDeadline: Duration = .seconds(2),
            workConnections: Int = 2
        ) {
            self.url = url
            self.listenURL = listenURL
            self.callDeadline = callDeadline
            self.workConnections = workConnections
        }
    }

    public let identity: DaemonIdentity
    public let availability: Availability
    let settings: Settings
    let work: ConnectionPool
    let renewing: ConnectionPool
    let listener: Listener
    let prober = Prober()
    /// A queue waits for a lock, on a connection of its own.
    let isWatching = Atomic(false)
    let logger: Logger
    private let epoch: Epoch

    public init(settings: Settings, identity: DaemonIdentity, logger: Logger) {
        self.settings = settings
        self.identity = identity
        self.logger = logger
        let availability = Availability(logger: logger)
        let epoch = Epoch()
        self.availability = availability
        self.epoch = epoch
        func pool(_ role: String, size: Int) -> ConnectionPool {
            ConnectionPool(
                settings: .init(url: settings.url, application: "pgmqd \(role)", size: size),
                onEvent: { event in
                    availability.report(event, role: role)
                    switch event {
                    case .opened: epoch.advance()
                    case .failed: if availability.outage != nil { epoch.wentAway() }
                    case .lost: break
                    }
                }
            )
        }
        work = pool("work", size: settings.workConnections)
        renewing = pool("renew", size: 1)
        listener = Listener(settings: settings, identity: identity, prober: renewing, logger: logger)
    }

    /// How many connections it opens, whatever it does.
    public var connections: Int { settings.workConnections + 2 }

    /// Keeps the connections open until the task is cancelled.
    public func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.work.run() }
            group.addTask { await self.renewing.run() }
            group.addTask { await self.listener.run() }
        }
    }

    /// For how long a connection has been lent that has been so for longest. Every call has a deadline: if it lasts much
    /// longer, something hangs.
    public var longestLoan: Duration? {
        [work, renewing].compactMap(\.oldestLoan).min().map { .now - $0 }
    }

    /// LISTEN was proven to deliver nothing: the queues are polled.
    public var isDeaf: Bool { listener.isDeaf }

    /// When the listener's loop last turned, for the watchdog, and how often it should.
    public var listenerTurned: Instant? { listener.lastTurn }
    public static let listenerInterval = Listener.pingInterval
    /// While its connection is away the loop waits for it, and may.
    public var isListenerConnected: Bool { listener.isConnected }
    /// For how long it has been away; nil while it is there.
    public var listenerAway: Duration? { listener.away }

    /// Changes with every connection that is opened: what was read of the catalog before is then read again.
    var currentEpoch: Int { epoch.value.withLock { $0 } }

    /// - Parameter onReconnect: called each time a work connection was opened, the first time included.
    public func onReconnect(_ action: @escaping @Sendable () -> Void) {
        epoch.actions.withLock { $0.append(action) }
    }

    /// - Parameter action: called each time the database was found away.
    func onAway(_ action: @escaping @Sendable () -> Void) {
        epoch.awayActions.withLock { $0.append(action) }
    }

    func limits(synchronousCommit: Bool = true) -> Limits {
        Limits(
            deadline: settings.callDeadline,
            // A locked queue holds a connection no longer than this, and with it no other queue.
            lockTimeout: min(.milliseconds(500), settings.callDeadline * 0.25),
            synchronousCommit: synchronousCommit
        )
    }

    private final class Epoch: Sendable {
        let value = Mutex(0)
        let actions = Mutex<[@Sendable () -> Void]>([])
        let awayActions = Mutex<[@Sendable () -> Void]>([])

        func wentAway() {
            for action in awayActions.withLock({ $0 }) { action() }
        }

        func advance() {
            value.withLock { $0 += 1 }
            for action in actions.withLock({ $0 }) { action() }
        }
    }
}
