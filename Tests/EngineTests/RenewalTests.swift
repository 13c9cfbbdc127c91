import Engine
import Testing

@Suite struct RenewalTests {
    static func holding(_ leases: [Lease], workers: Int = 2) -> Flow {
        var flow = Flow(policy(workers: workers))
        flow.receive(leases, now: 0)
        return flow
    }

    @Test func aThirdOfTheTimeoutInOrderOfIds() {
        var flow = Self.holding([lease(7), lease(3)])
        #expect(flow.begin(0, now: 0) == 7)
        #expect(flow.nextRenewal(now: at(9_999))?.fences == nil)
        #expect(flow.nextAlarm().map { $0 <= at(10_000) } == true)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [lease(3).fence, lease(7).fence], "what waits, too")
        #expect(flow.nextRenewal(now: at(11_000))?.fences == nil, "one at a time")
        let renewals = Renewals(results: [.renewed, .renewed], sent: at(10_000))
        #expect(flow.renewed(renewals, [lease(3), lease(7)], now: 10_500) == [])
        #expect(flow.tick(now: at(39_999)) == [])
        #expect(flow.tick(now: at(40_000)) == [0], "counted from when it was sent")
    }

    /// Every lease has three tries before it ends, whenever it was claimed.
    @Test func freshLeasesAreRenewedToo() {
        var flow = Self.holding([lease(1)])
        #expect(flow.begin(0, now: 0) == 1)
        flow.receive([lease(2)], now: 9_500)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [lease(1).fence, lease(2).fence])
    }

    @Test func anOutcomeDecidedIsNotRenewed() {
        var flow = Self.holding([lease(1), lease(2)])
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.begin(1, now: 0) == 2)
        flow.end(0, .done, now: 5)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [lease(2).fence])
    }

    @Test func skippedIsNotLost() {
        var flow = Self.holding([lease(1)])
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [lease(1).fence])
        #expect(flow.renewed(Renewals(results: [.skipped], sent: at(10_000)), [lease(1)], now: 10_001) == [])
        #expect(flow.nextRenewal(now: at(11_000))?.fences == nil)
        #expect(flow.nextRenewal(now: at(11_501))?.fences == [lease(1).fence], "soon again")
        #expect(flow.renewed(Renewals(results: [.skipped], sent: at(11_501)), [lease(1)], now: 11_502) == [])
        #expect(flow.tick(now: at(30_000)) == [0], "and not extended")
    }

    @Test func lostCancels() {
        var flow = Self.holding([lease(1, readCount: 2), lease(2, readCount: 2)])
        #expect(flow.begin(0, now: 0) == 1)
        let leases = [lease(1, readCount: 2), lease(2, readCount: 2)]
        #expect(flow.nextRenewal(now: at(10_000))?.fences == leases.map(\.fence))
        #expect(flow.renewed(Renewals(results: [.lost, .lost], sent: at(10_000)), leases, now: 10_001) == [0])
        #expect(flow.begin(1, now: 10_001) == nil, "what waited is gone")
        #expect(flow.counters.lost == 2)
        #expect(flow.nextJob(now: at(10_001)) == .settle(lost: leases.map(\.delivery)))
        #expect(flow.nextRenewal(now: at(20_000))?.fences == nil)
    }

    @Test func aFailedRenewalIsTriedSoon() {
        var flow = Self.holding([lease(1)])
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.nextRenewal(now: at(10_000))?.fences != nil)
        flow.renewalFailed(now: at(12_000))
        #expect(flow.nextRenewal(now: at(13_000))?.fences == nil)
        #expect(flow.nextRenewal(now: at(13_500))?.fences == [lease(1).fence])
    }

    /// A daemon that slept through its lease runs nothing that it held, and says so in the journal at once.
    @Test func whatWaitedTooLongIsLost() {
        var flow = Self.holding([lease(1), lease(2, readCount: 2)], workers: 2)
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.tick(now: at(30_000)) == [0])
        #expect(flow.nextJob(now: at(30_000)) == .settle(lost: [lease(2, readCount: 2).delivery]))
        #expect(flow.begin(1, now: 30_000) == nil)
        #expect(flow.counters.lost == 2)
    }
}

extension Flow {
    mutating func renewed(_ renewals: Renewals, _ leases: [Lease], now: Double) -> [Int] {
        renewed(leases.map(\.fence), renewals, now: at(now))
    }
}
