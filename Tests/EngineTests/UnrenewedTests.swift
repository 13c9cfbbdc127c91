import Engine
import Testing

/// Leases that cannot be renewed: nothing more is claimed, because its handlers could lose their leases too.
@Suite struct UnrenewedTests {
    /// Holds one of two messages that it could; a renewal is due at 10 s.
    private static func holding() -> Flow {
        var flow = RenewalTests.holding([lease(1)])
        #expect(flow.begin(0, now: 0) == 1)
        return flow
    }

    private static let renewed = Renewals(results: [.renewed], sent: at(13_500))

    @Test func `claims wait from a renewal that failed to one that succeeds`() {
        var flow = Self.holding()
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        flow.renewalFailed(now: at(12_000))
        flow.hint(.notified, now: at(12_000))
        #expect(flow.nextJob(now: at(12_000)) == nil)
        #expect(flow.nextRenewal(now: at(13_500)) != nil)
        #expect(flow.nextJob(now: at(13_500)) == nil, "however long it holds something")
        #expect(flow.renewed(Self.renewed, [lease(1)], now: 13_600) == [])
        #expect(flow.nextJob(now: at(13_600))?.claim?.limit == 1)
    }

    /// With nothing held there is nothing to renew, and so nothing that would show when it can be done again.
    @Test func `with nothing held one message is claimed, after longer and longer`() {
        var flow = Self.holding()
        var waits: [Duration] = []
        var now = at(10_000)
        for id in Int64(1)...8 {
            guard flow.nextRenewal(now: now) != nil else { break }
            flow.renewalFailed(now: now)
            #expect(flow.nextJob(now: now) == nil, "it holds \(id)")
            flow.finished(worker: 0, verdict: .done, now: now)
            let settling = flow.nextJob(now: now)
            #expect(settling?.settlements.map(\.fence.messageID) == [id])
            #expect(settling?.claim == nil)
            flow.answer(settling, at: now)
            flow.hint(.notified, now: now)
            guard let (claim, then) = flow.nextJob(after: now) else { break }
            waits.append(then - now)
            #expect(claim.claim?.limit == 1)
            flow.answer(claim, [lease(id + 1)], at: then)
            guard case .run = flow.take(worker: 0, now: then) else { break }
            now = then + .seconds(10)
        }
        #expect(waits.count == 8)
        // A quarter of jitter either way: of each two the second lasts longer, up to a minute.
        #expect(waits.first.map { .milliseconds(750) <= $0 && $0 <= .milliseconds(1250) } == true)
        #expect(zip(waits, waits.dropFirst()).prefix(5).allSatisfy { $0 < $1 })
        #expect(waits.allSatisfy { $0 <= .seconds(75) })
        #expect(waits.last.map { .seconds(45) <= $0 } == true)
    }

    @Test func `with nothing held new connections are reason enough to claim`() {
        var flow = Self.holding()
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        flow.renewalFailed(now: at(12_000))
        flow.end(0, .done, now: 12_001)
        #expect(flow.settleAll(now: 12_001).count == 1)
        flow.hint(.notified, now: at(12_002))
        #expect(flow.nextJob(now: at(12_002)) == nil)
        flow.hint(.reconnected, now: at(12_003))
        #expect(flow.nextJob(now: at(12_003))?.claim != nil)
    }

    @Test func `a renewal that takes longer than a third of the timeout stops claims until it is answered`() {
        var flow = Self.holding()
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        flow.hint(.notified, now: at(20_000))
        let claim = flow.nextJob(now: at(20_000))
        #expect(claim?.claim?.limit == 1, "not yet")
        flow.answer(claim, now: 20_000)
        flow.hint(.notified, now: at(20_001))
        #expect(flow.nextJob(now: at(20_001)) == nil)
        #expect(flow.renewed(Renewals(results: [.renewed], sent: at(10_000)), [lease(1)], now: 20_002) == [])
        #expect(flow.nextJob(now: at(20_002))?.claim != nil)
    }
}

extension Flow {
    /// As the shell does it: asks again whenever the alarm rings.
    fileprivate mutating func nextJob(after now: Instant) -> (job: Job, at: Instant)? {
        var now = now
        for _ in 0..<10 {
            #expect(tick(now: now) == [])
            #expect(nextRenewal(now: now) == nil, "nothing is held")
            if let job = nextJob(now: now) { return (job, now) }
            guard let alarm = nextAlarm() else { return nil }
            now = max(now, alarm)
        }
        return nil
    }
}
