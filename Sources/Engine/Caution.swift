/// Runs a message that is suspected of killing its process alone, so that it takes no innocent one along.
///
/// Everything else that is held is handed back first, and that is on disk, before the suspect starts: a lease that
/// only waits would count a crash that is not its own.
struct Caution: Sendable {
    private(set) var suspect: Lease?
    private(set) var until: Instant?
    private(set) var isRunning = false
    /// After a suspect, claims are of one message until one comes that is none.
    private(set) var claimsSingly = false
    private var opening = Opening.none

    private enum Opening {
        case none
        case sent
        case done
    }

    var isActive: Bool { suspect != nil || isRunning }

    mutating func hold(_ lease: Lease, until: Instant) {
        suspect = lease
        opening = .none
        self.until = until
        claimsSingly = true
    }

    /// The delivery whose journal row is to be opened now, before it runs.
    mutating func open() -> Delivery? {
        guard let suspect, opening == .none else { return nil }
        opening = .sent
        return suspect.delivery
    }

    mutating func opened() {
        opening = .done
    }

    mutating func couldNotOpen(_ delivery: Delivery) {
        if suspect?.delivery == delivery { opening = .none }
    }

    mutating func start() -> (lease: Lease, until: Instant)? {
        guard let suspect, let until, opening == .done else { return nil }
        self.suspect = nil
        isRunning = true
        return (suspect, until)
    }

    mutating func extended(until: Instant) {
        if suspect != nil { self.until = until }
    }

    mutating func ended() {
        isRunning = false
    }

    mutating func sawInnocent() {
        claimsSingly = false
    }

    mutating func abandon() -> Lease? {
        defer { suspect = nil }
        return suspect
    }
}
