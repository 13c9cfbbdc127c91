/// Renewals that may still land at the server: under way, or without an answer.
///
/// A renewal that lands behind a settlement which delays the message would move its `vt` once more. Where such a
/// settlement ends the fence, the renewal finds no row. Where it cannot (``FenceSource/outlivesDelay``), the settlement
/// is written again after the last moment of the renewal.
struct LateRenewals: Sendable {
    private struct Sent {
        let fences: Set<Fence>
        let until: Instant
    }

    private var underWay: Sent?
    /// Their calls have ended, and nobody knows what the server does with them.
    private var unanswered: [Sent] = []

    /// A renewal is sent. The one before it, if it was not answered, may still land.
    mutating func began(_ fences: [Fence], until: Instant, now: Instant) {
        if let underWay { unanswered.append(underWay) }
        unanswered.removeAll { $0.until <= now }
        let repeated = fences.filter(\.source.outlivesDelay)
        underWay = repeated.isEmpty ? nil : Sent(fences: Set(repeated), until: until)
    }

    mutating func answered() {
        underWay = nil
    }

    /// - Returns: the moment after which no renewal of this fence lands any more; nil: none is on its way.
    func end(of fence: Fence, now: Instant) -> Instant? {
        guard fence.source.outlivesDelay else { return nil }
        return (unanswered + [underWay].compactMap { $0 })
            .filter { $0.until > now && $0.fences.contains(fence) }
            .map(\.until).max()
    }
}
