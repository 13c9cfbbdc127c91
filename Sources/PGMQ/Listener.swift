import Engine
import Logging
import Postgres
import Synchronization

/// The side connection: hears the doorbells and PGMQ's own notifications, and holds the locks of who sleeps.
///
/// LISTEN is a hint. That it delivers is proven end to end at every connect and now and then; where it does not
/// (PgBouncer in transaction mode answers OK and delivers nothing) the queues are told to poll.
final class Listener: Sendable {
    private struct State {
        var queues: [(name: QueueName, onWake: @Sendable (Wake) -> Void)] = []
        var isHeard = false
        var echo: (nonce: String, heard: AsyncStream<Void>.Continuation)?
        var wasDeaf = false
        var isConnected = false
        var awaySince: Instant?
        var lastTurn: Instant?
        /// Counts the connections.
        var connection = 0
        /// The queues whose locks this connection holds: taken twice, one would be let go of only once.
        var locked: Set<QueueName> = []
    }

    /// How often the connection is proven alive, and LISTEN proven to deliver.
    static let pingInterval: Duration = .seconds(5)
    static let deafInterval: Duration = .seconds(30)
    static let echoInterval: Duration = .seconds(300)
    static let echoDeadline: Duration = .seconds(2)

    private let settings: Database.Settings
    private let probeChannel: String
    private let prober: ConnectionPool
    private let logger: Logger
    private let state: Mutex<State>
    private let pool: Mutex<ConnectionPool?> = Mutex(nil)

    init(settings: Database.Settings, identity: DaemonIdentity, prober: ConnectionPool, logger: Logger) {
        self.settings = settings
        self.prober = prober
        self.logger = logger
        probeChannel = "pgmqd-probe.\(identity.daemon)"
        state = Mutex(State())
    }

    func add(_ queue: QueueName, onWake: @escaping @Sendable (Wake) -> Void) {
        state.withLock { $0.queues.append((queue, onWake)) }
    }

    /// Whether producers are heard.
    var isHeard: Bool { state.withLock { $0.isHeard } }

    /// Whether the last proof failed; not yet known is not deaf.
    var isDeaf: Bool { state.withLock { $0.wasDeaf } }

    var isConnected: Bool { state.withLock { $0.isConnected } }

    /// For how long it could not be had; nil while it is there.
    var away: Duration? { state.withLock { state in state.awaySince.map { .now - $0 } } }

    /// When the loop last turned, for the watchdog.
    var lastTurn: Instant? { state.withLock { $0.lastTurn } }

    func run() async {
        let failures = Availability(logger: logger[role: "listen"], words: .listenConnection)
        let pool = ConnectionPool(
            settings: .init(url: settings.listenURL ?? settings.url, application: "pgmqd listen", size: 1),
            onOpen: { [weak self] connection async throws(PostgresError) in try await self?.listen(on: connection) },
            onEvent: { [weak self] event in
                if self?.settings.listenURL != nil { failures.report(event, role: "listen") }
                switch event {
                case .opened:
                    self?.state.withLock { state in
                        state.isConnected = true
                        state.awaySince = nil
                    }
                case .lost, .failed:
                    self?.state.withLock { state in
                        state.isConnected = false
                        state.awaySince = state.awaySince ?? .now
                    }
                    self?.heard(false)
                }
            },
            onNotification: { [weak self] notification in self?.received(notification) }
        )
        self.pool.withLock { $0 = pool }
        await withDiscardingTaskGroup { group in
            group.addTask { await pool.run() }
            group.addTask { await self.keepProving(pool) }
        }
    }

    private func listen(on connection: Connection) async throws(PostgresError) {
        var statements: [Statement] = []
        let queues = state.withLock { $0.queues.map(\.name) }
        for channel in [probeChannel] + queues.flatMap({ [$0.doorbell] + $0.notifyChannels }) {
            statements.append(Statement("listen \(try await connection.quote(identifier: channel))"))
        }
        _ = try await connection.run(statements, deadline: settings.callDeadline)
        state.withLock { state in
            state.connection += 1
            state.locked = []
        }
    }

    // MARK: - Hearing

    private func received(_ notification: Notification) {
        if notification.channel == probeChannel {
            let echo = state.withLock { state in
                state.echo?.nonce == notification.payload ? state.echo.take() : nil
            }
            echo?.heard.yield()
            return
        }
        let wakes = state.withLock { state in
            state.queues.compactMap { queue -> (@Sendable (Wake) -> Void, Wake)? in
                if notification.channel == queue.name.doorbell { return (queue.onWake, .notified) }
                return queue.name.notifyChannels.contains(notification.channel) ? (queue.onWake, .throttled) : nil
            }
        }
        for (onWake, wake) in wakes { onWake(wake) }
    }

    private func heard(_ isHeard: Bool) {
        let queues = state.withLock { state in
            state.isHeard = isHeard
            return state.queues.map(\.onWake)
        }
        // Told at every connect, heard or not: the locks of a lost session are gone.
        for onWake in queues { onWake(.listening(isHeard)) }
    }

    // MARK: - Proving

    private func keepProving(_ pool: ConnectionPool) async {
        var proven: (connection: Int, at: Instant)?
        while !Task.isCancelled {
            let id: Int?
            do throws(PostgresError) {
                id = try await pool.use { connection async throws(PostgresError) in
                    let number = state.withLock { $0.connection }
                    _ = try await connection.run([Statement("select 1")], deadline: settings.callDeadline)
                    return number
                }
            } catch {
                id = nil
                if Task.isCancelled { return }
            }
            state.withLock { $0.lastTurn = .now }
            if let id {
                let interval = isHeard ? Self.echoInterval : Self.deafInterval
                if proven?.connection != id || proven.map({ .now - $0.at > interval }) ?? true {
                    if await prove(isNew: proven?.connection != id) { proven = (id, .now) }
                }
                try? await Task.sleep(for: Self.pingInterval)
            } else {
                proven = nil
            }
        }
    }

    /// - Returns: false if nothing was proven, because the probe itself could not be sent.
    private func prove(isNew: Bool) async -> Bool {
        guard let echoed = await echo() else { return false }
        let (changed, wasDeaf) = state.withLock { state in
            defer { state.wasDeaf = !echoed }
            return (state.isHeard != echoed, state.wasDeaf)
        }
        if changed || isNew { heard(echoed) }
        if !echoed, !wasDeaf {
            logger.warning(
                """
                LISTEN delivers no notifications, so the queues are polled; if database.url goes through a pooler such \
                as PgBouncer in transaction mode, set database.listen_url to a direct connection
                """
            )
        } else if echoed, wasDeaf {
            logger.notice("LISTEN delivers notifications again")
        }
        return true
    }

    /// Sends a notification from another connection and waits for it here.
    /// - Returns: nil if it could not be sent.
    private func echo() async -> Bool? {
        let nonce = String(UInt64.random(in: .min ... .max), radix: 36)
        let (echoes, heard) = AsyncStream.makeStream(of: Void.self)
        state.withLock { $0.echo = (nonce, heard) }
        defer { state.withLock { $0.echo = nil } }
        let notify = Statement("select pg_catalog.pg_notify($1, $2)", [.text(probeChannel), .text(nonce)])
        // Not raced: the echo may be quicker than the reply, and a call that is cancelled costs its connection.
        do throws(PostgresError) {
            // All queues renew their leases on the same one. Who waits for long there has proven nothing, and turns.
            try await prober.use(waiting: settings.callDeadline * 2) { connection async throws(PostgresError) in
                _ = try await connection.transaction([notify], limits: Limits(deadline: settings.callDeadline))
            }
        } catch {
            return nil
        }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await Task.sleep(for: Self.echoDeadline)
                heard.finish()
            }
            defer { group.cancelAll() }
            for await _ in echoes { return true }
            return false
        }
    }

    // MARK: - Sleeping

    /// Takes the queue's advisory lock, shared: from now on producers ring.
    func fallAsleep(_ queue: QueueName) async throws(PostgresError) {
        try await lock(queue, true)
    }

    func wakeUp(_ queue: QueueName) async throws(PostgresError) {
        try await lock(queue, false)
    }

    /// Waits for the connection no longer than a call may take: a queue that cannot be rung is polled, and goes on.
    private func lock(_ queue: QueueName, _ wanted: Bool) async throws(PostgresError) {
        guard let pool = pool.withLock({ $0 }) else { return }
        let function = wanted ? "pg_advisory_lock_shared" : "pg_advisory_unlock_shared"
        let statement = Statement("select pg_catalog.\(function)(\(Doorbell.key("$1")))", [.text(queue.folded)])
        try await pool.use(waiting: settings.callDeadline) { connection async throws(PostgresError) in
            let (number, isHeld) = state.withLock { ($0.connection, $0.locked.contains(queue)) }
            if isHeld == wanted { return }
            _ = try await connection.transaction([statement], limits: Limits(deadline: settings.callDeadline))
            state.withLock { state in
                guard state.connection == number else { return }
                if wanted { state.locked.insert(queue) } else { state.locked.remove(queue) }
            }
        }
    }
}

extension Logger {
    subscript(role role: String) -> Logger {
        var copy = self
        copy[metadataKey: "role"] = "\(role)"
        return copy
    }
}
