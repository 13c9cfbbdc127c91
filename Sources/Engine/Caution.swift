/// Runs a message that is suspected of killing its process alone, so that it takes no innocent one along.
///
/// Everything else that is held is handed back first, and that is on disk, before the suspect starts: a lease that
/// only waits would count a crash that is not its own.
struct Caution: Sendable {
    private(set) var suspect: Lease?
    private(set) var until: Instant?
    private(set) var isRunning = false
    /// What it was settled with is not on disk yet: a process that ended now would end by its fault.
    private var unsettled: Fence?
    /// After a suspect, claims are of one message until one comes that is none.
    private(set) var claimsSingly = false
    private var opening = Opening.none

    private enum Opening {
        case none
        case sent
        case done
    }

    var isActive: Bool { suspect != nil || isRunning || unsettled != nil }

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
        guard suspect != nil else { return }
        self.until = until
        suspect?.place = nil
    }

    /// - Parameter settling: false where there is no outcome to write.
    mutating func ended(_ fence: Fence, settling: Bool) {
        if isRunning, settling { unsettled = fence }
        isRunning = false
    }

    /// Written, or not to be waited for.
    mutating func settled(_ settlements: [Settlement]) {
        guard let fence = unsettled, settlements.contains(where: { $0.fence == fence }) else { return }
        unsettled = nil
    }

    mutating func sawInnocent() {
        claimsSingly = false
    }

    mutating func abandon() -> Lease? {
        defer { suspect = nil }
        return suspect
    }
}
