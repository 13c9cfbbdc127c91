import Engine
import Foundation
import Logging
import Postgres
import Synchronization

/// Whether the database answers. Two log lines an outage: one when it begins, one when it is over.
public final class Availability: Sendable {
    private struct State {
        /// Connections, by role.
        var open: [String: Int] = [:]
        /// Roles that have none and could not open one.
        var away: Set<String> = []
        /// Since when, and why.
        var outage: (since: Instant, reason: String)?
        var everConnected = false
        var firstAnswer: Answer?
        var waiters: [CheckedContinuation<String?, Never>] = []

        /// A connection for work stands, so that at most the others are missing: what they carry goes over that one.
        var isDegradedAtMost: Bool { away.isEmpty || !away.contains("work") && open["work", default: 0] > 0 }
    }

    private enum Answer {
        case connected
        case refused(String)
    }

    /// How an outage is told.
    struct Words: Sendable {
        let began: String
        let ended: String

        static let database = Words(
            began: "database unreachable; leases are held, and the daemon reconnects until it answers",
            ended: "database reachable again"
        )
        static let listenConnection = Words(
            began: "database.listen_url unreachable; the queues are polled, and the daemon reconnects until it answers",
            ended: "database.listen_url reachable again"
        )
    }

    private let logger: Logger
    private let words: Words
    private let state = Mutex(State())

    init(logger: Logger, words: Words = .database) {
        self.logger = logger
        self.words = words
    }

    /// Why the database is away, and for how long; nil while it is not.
    public var outage: (reason: String, lasting: Duration)? {
        state.withLock { state in
            state.outage.map { ($0.reason, .now - $0.since) }
        }
    }

    public var isConnected: Bool {
        state.withLock { $0.outage == nil && $0.everConnected }
    }

    /// Returns when the server has first let us in, or refused us: then with its words. An outage is waited out.
    ///
    /// Returns nil, too, when the task is cancelled.
    public func firstAnswer() async -> String? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> String?? in
                    switch state.firstAnswer {
                    case .connected: return .some(nil)
                    case .refused(let reason): return reason
                    case nil where Task.isCancelled: return .some(nil)
                    case nil:
                        state.waiters.append(continuation)
                        return nil
                    }
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            answer(nil)
        }
    }

    private func answer(_ first: Answer?) {
        let (waiters, reason) = state.withLock { state -> ([CheckedContinuation<String?, Never>], String?) in
            if state.firstAnswer == nil { state.firstAnswer = first }
            defer { state.waiters = [] }
            if case .refused(let reason) = first { return (state.waiters, reason) }
            return (state.waiters, nil)
        }
        for waiter in waiters { waiter.resume(returning: reason) }
    }

    func report(_ event: ConnectionPool.Event, role: String) {
        switch event {
        case .opened:
            answer(.connected)
            let (ended, isComplete) = state.withLock { state -> ((since: Instant, reason: String)?, Bool) in
                state.everConnected = true
                state.open[role, default: 0] += 1
                let wasLacking = state.away.remove(role) != nil
                let ended = state.isDegradedAtMost ? state.outage.take() : nil
                return (ended, wasLacking && ended == nil && state.away.isEmpty)
            }
            if let ended {
                logger.notice("\(words.ended)", metadata: ["away": "\((.now - ended.since).inSecondsText)"])
            } else if isComplete {
                logger.notice("connections complete again", metadata: ["role": "\(role)"])
            }
        case .lost(let error):
            state.withLock { $0.open[role, default: 1] -= 1 }
            logger.info("connection lost", metadata: ["role": "\(role)", "reason": "\(error)"])
        case .failed(let error, _):
            if error.refusesLogin { answer(.refused(error.description)) }
            let (began, lacks) = state.withLock { state in
                // One of several that cannot be had is a limit of the role or the server, and no outage.
                guard state.open[role, default: 0] == 0 else { return (false, false) }
                let isNew = state.away.insert(role).inserted
                if state.isDegradedAtMost { return (false, isNew) }
                defer { state.outage = (state.outage?.since ?? .now, error.description) }
                return (state.outage == nil, false)
            }
            if began {
                logger.error("\(words.began)", metadata: ["reason": "\(error)"])
            } else if lacks {
                logger.warning(
                    "connection missing, its calls go over one for work",
                    metadata: ["role": "\(role)", "reason": "\(error)"]
                )
            }
        }
    }
}

extension PostgresError {
    /// The server is there and lets us not in, for reasons of role, password or database.
    ///
    /// libpq before 17 tells no SQLSTATE of a failed connection, so this reads the server's words. In another language
    /// they are not known, and a refusal is waited out like an outage: the safe side.
    var refusesLogin: Bool {
        if message == Self.malformedConnectionString { return true }
        guard kind == .connection else { return false }
        // One sentence a host. Where another host is merely away, that one may be the one that lets us in.
        let hosts = message.components(separatedBy: "connection to server").dropFirst()
        return !hosts.isEmpty && hosts.allSatisfy { host in host.contains("FATAL:") && Self.isRefusal(host) }
    }

    /// Not of LDAP, PAM or RADIUS, whose servers may be away.
    private static func isRefusal(_ words: String) -> Bool {
        let whoever = ["password", "Peer", "Ident"].map { "\($0) authentication failed" }
        return (whoever + ["no pg_hba.conf entry", "does not exist", "is not permitted to log in"])
            .contains { words.contains($0) }
    }
}
