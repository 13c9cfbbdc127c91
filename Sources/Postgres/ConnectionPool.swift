import Dispatch
import Synchronization

/// A fixed number of connections of one role, each reopened for ever when it is lost.
///
/// Whoever wants one waits in line while there is none: the database being away is a state, not an error. Only a
/// transaction that was already under way throws.
public final class ConnectionPool: Sendable {
    public enum Event: Sendable {
        case opened(backend: Int32)
        /// An open connection broke.
        case lost(PostgresError)
        /// An attempt to open one failed; the next comes after the delay.
        case failed(PostgresError, retryIn: Duration)
    }

    public struct Settings: Sendable {
        public var url: String
        public var application: String
        public var size: Int
        public var connectDeadline: Duration
        public var backoff: Backoff

        public init(
            url: String,
            application: String = "pgmqd",
            size: Int,
            connectDeadline: Duration = .seconds(10),
            backoff: Backoff = Backoff()
        ) {
            self.url = url
            self.application = application
            self.size = size
            self.connectDeadline = connectDeadline
            self.backoff = backoff
        }
    }

    private struct State {
        var idle: [Connection] = []
        var loans: [ObjectIdentifier: ContinuousClock.Instant] = [:]
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Connection?, Never>)] = []
        var nextID: UInt64 = 0
        /// Connections that stand.
        var open = 0
    }

    private let settings: Settings
    private let onOpen: @Sendable (Connection) async throws(PostgresError) -> Void
    private let onEvent: @Sendable (Event) -> Void
    private let onNotification: @Sendable (Notification) -> Void
    private let state = Mutex(State())
    private let timers = DispatchQueue(label: "postgres.pool")

    /// - Parameter onOpen: run on every new connection before anybody gets it; throwing counts as a failed opening.
    public init(
        settings: Settings,
        onOpen: @escaping @Sendable (Connection) async throws(PostgresError) -> Void = { _ in },
        onEvent: @escaping @Sendable (Event) -> Void,
        onNotification: @escaping @Sendable (Notification) -> Void = { _ in }
    ) {
        self.settings = settings
        self.onOpen = onOpen
        self.onEvent = onEvent
        self.onNotification = onNotification
    }

    /// Keeps the connections open until the task is cancelled, then closes them.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<settings.size {
                group.addTask { await self.keepOne() }
            }
        }
    }

    private func keepOne() async {
        var failures = 0
        while !Task.isCancelled {
            do throws(PostgresError) {
                let connection = try await open()
                let opened = ContinuousClock.now
                state.withLock { $0.open += 1 }
                onEvent(.opened(backend: connection.backend))
                put(connection)
                let reason = await withTaskCancellationHandler {
                    await connection.whenClosed()
                } onCancel: {
                    Task { await connection.close() }
                }
                state.withLock { state in
                    state.open -= 1
                    state.idle.removeAll { $0 === connection }
                }
                if Task.isCancelled { return }
                onEvent(.lost(reason))
                // One that was lost at once is no better than one that could not be opened.
                if .now - opened > .seconds(1) {
                    failures = 0
                } else {
                    failures += 1
                    try? await Task.sleep(for: settings.backoff.delay(afterFailure: failures, draw: .random(in: 0...1)))
                }
            } catch {
                if Task.isCancelled { return }
                failures += 1
                let delay = settings.backoff.delay(afterFailure: failures, draw: .random(in: 0...1))
                onEvent(.failed(error, retryIn: delay))
                try? await Task.sleep(for: delay)
            }
        }
    }

    private func open() async throws(PostgresError) -> Connection {
        let connection = try await Connection.open(
            url: settings.url,
            application: settings.application,
            deadline: settings.connectDeadline,
            onNotification: onNotification
        )
        do throws(PostgresError) {
            try await onOpen(connection)
        } catch {
            await connection.close()
            throw error
        }
        return connection
    }

    /// Lends a connection for the closure's duration, exclusively, in the order of asking.
    ///
    /// - Parameter patience: how long one is waited for; nil: as long as it takes.
    /// - Throws: what the closure throws; an error of kind `cancelled` if the task was cancelled while waiting, of kind
    ///   `deadline` if the patience ran out.
    public func use<R: Sendable>(
        waiting patience: Duration? = nil,
        _ body: (Connection) async throws(PostgresError) -> R
    ) async throws(PostgresError) -> R {
        guard let connection = await take(waiting: patience) else {
            if Task.isCancelled { throw PostgresError(.cancelled, message: "cancelled while the database was away") }
            throw PostgresError(.deadline, message: "no connection came free in time")
        }
        defer { put(connection) }
        return try await body(connection)
    }

    /// Whether a connection stands: a hint, for those who could take another pool's.
    public var isOpen: Bool { state.withLock { $0.open > 0 } }

    /// Since when the connection has been lent that has been so for longest. Every call has a deadline, so a loan that
    /// lasts says that something hangs; the line in front of the pool may be long.
    public var oldestLoan: ContinuousClock.Instant? {
        state.withLock { $0.loans.values.min() }
    }

    private func take(waiting patience: Duration?) async -> Connection? {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (connection, answer) = state.withLock { state -> (Connection?, Bool) in
                    if Task.isCancelled { return (nil, true) }
                    if let idle = state.idle.popLast() {
                        state.loans[ObjectIdentifier(idle)] = .now
                        return (idle, true)
                    }
                    state.waiters.append((id, continuation))
                    return (nil, false)
                }
                if answer {
                    continuation.resume(returning: connection)
                } else if let patience {
                    let seconds = DispatchTimeInterval.milliseconds(Int(patience.milliseconds))
                    timers.asyncAfter(deadline: .now() + seconds) { self.leaveLine(id) }
                }
            }
        } onCancel: {
            leaveLine(id)
        }
    }

    private func leaveLine(_ id: UInt64) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: nil)
    }

    /// Hands a connection to the next in line. One that is closed meanwhile fails its first use, and is then dropped.
    private func put(_ connection: Connection) {
        let waiter = state.withLock { state -> CheckedContinuation<Connection?, Never>? in
            state.loans[ObjectIdentifier(connection)] = nil
            guard !connection.isClosed else { return nil }
            if !state.waiters.isEmpty {
                state.loans[ObjectIdentifier(connection)] = .now
                return state.waiters.removeFirst().continuation
            }
            state.idle.append(connection)
            return nil
        }
        waiter?.resume(returning: connection)
    }
}
