/// Decides whether a consumer takes work, drains, or gives up.
///
/// | state | what happens | can become |
/// | --- | --- | --- |
/// | running | claims, runs, settles | quiet, draining |
/// | quiet | goes on with what is held, claims nothing | running, draining |
/// | draining | hands back what has not begun; handlers run until `until`; what is left at `giveUp` is given up | halted |
/// | halted | does nothing more; messages that are still held come back when their leases end | – |
///
/// A consumer that drains and holds no work has only remnants left: a claim on its way, journal rows of leases that are
/// gone. They get ``remnantPatience``, and nothing while the database is known to be away.
struct Lifecycle: Sendable, Equatable {
    enum State: Sendable, Equatable {
        case running
        case quiet
        case draining(until: Instant, giveUp: Instant)
        case halted
    }

    /// What a draining consumer still has.
    enum Left: Sendable, Equatable {
        case work
        case remnants
        case nothing
    }

    /// The time that remnants get. A call that a healthy database was sent is answered within it.
    static let remnantPatience: Duration = .seconds(1)

    private(set) var state = State.running
    /// Since when nothing but remnants is left.
    private var remnantsSince: Instant?

    var isDraining: Bool {
        switch state {
        case .draining, .halted: true
        case .running, .quiet: false
        }
    }

    var isHalted: Bool { state == .halted }

    mutating func quiet() {
        if state == .running { state = .quiet }
    }

    /// - Returns: whether it had been quiet.
    mutating func resume() -> Bool {
        guard state == .quiet else { return false }
        state = .running
        return true
    }

    /// - Parameter allowance: how long handlers that are cancelled and outcomes to settle may take beyond the deadline.
    /// - Returns: whether this stop is the first. Another one may shorten the time.
    mutating func stop(until deadline: Instant, allowance: Duration) -> Bool {
        switch state {
        case .running, .quiet:
            state = .draining(until: deadline, giveUp: deadline + allowance)
            return true
        case .draining(let until, let giveUp):
            state = .draining(until: min(until, deadline), giveUp: min(giveUp, deadline + allowance))
            return false
        case .halted:
            return false
        }
    }

    /// Whether running handlers are to be cancelled.
    func isGraceOver(at now: Instant) -> Bool {
        if case .draining(let until, _) = state { until <= now } else { false }
    }

    /// Told after every event.
    mutating func left(_ left: Left, now: Instant) {
        switch left {
        case .work, .nothing: remnantsSince = nil
        case .remnants: remnantsSince = remnantsSince ?? now
        }
    }

    /// - Returns: whether what is left is given up now.
    mutating func tick(now: Instant) -> Bool {
        guard case .draining(_, let giveUp) = state else { return false }
        let patience = remnantsSince.map { $0 + Self.remnantPatience }
        guard giveUp <= now || (patience.map { $0 <= now } ?? false) else { return false }
        state = .halted
        return true
    }

    /// When ``tick(now:)`` may next decide something.
    var nextTick: Instant? {
        guard case .draining(_, let giveUp) = state else { return nil }
        return earliest(giveUp, remnantsSince.map { $0 + Self.remnantPatience })
    }

    /// When handlers are cancelled.
    var graceEnd: Instant? {
        if case .draining(let until, _) = state { until } else { nil }
    }
}
