import Engine
import Testing

/// Where claims begin, and when they look below.
@Suite struct FloorTests {
    /// Its floor is at zero, and every sweep has just been made.
    static func floored(workers: Int = 4) -> Flow {
        var flow = Flow(policy(workers: workers))
        flow.receive([lease(1, vt: -500), lease(2, vt: 0)], now: 0)
        flow.receive([], now: 1)
        flow.hint(.notified, now: at(1))
        return flow
    }

    @Test func theFirstClaimHasNoFloor() {
        var flow = Flow(policy())
        #expect(flow.nextJob(now: at(0)) == .claim(2))
    }

    /// A batch of one send has one `vt`: the rest of it must not be passed over.
    @Test func theFloorIsInclusive() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1, vt: 0), lease(2, vt: 0)], now: 0)
        _ = flow.begin(0, now: 1)
        flow.end(0, .done, now: 1)
        #expect(flow.nextJob(now: at(1))?.claim == Claim(limit: 1, reach: .floor, floor: clock(0)))
    }

    /// Two producers that send at the same time commit in any order.
    @Test func whatIsNotFullLooksALittleLower() {
        var flow = Self.floored()
        #expect(flow.nextJob(now: at(2)) == .claim(2, .floor, floor: clock(-10)))
    }

    @Test func sweepsAreGraded() {
        var flow = Flow(policy(workers: 4))
        flow.receive([lease(1)], now: 0)
        let deepest = flow.nextJob(now: at(1))?.claim
        guard case .below(let depth) = deepest?.reach else {
            Issue.record("no sweep after a start: \(String(describing: deepest))")
            return
        }
        #expect(depth > .seconds(86_400), "what a transaction of hours leaves")
        flow.answer(.claim(3, .below(depth), floor: deepest?.floor), [lease(2)], now: 1)
        flow.hint(.notified, now: at(40))
        #expect(flow.nextJob(now: at(40))?.claim?.reach == .floor)
        flow.answer(.claim(2, .floor, floor: clock(0)), [lease(3)], now: 40)
        flow.hint(.notified, now: at(52))
        #expect(flow.nextJob(now: at(52)) == .claim(1, .below(.seconds(1)), floor: clock(-1000)))
        flow.answer(.claim(1, .below(.seconds(1)), floor: clock(-1000)), [lease(4)], now: 52)
        #expect(flow.begin(0, now: 53) == 1)
        flow.end(0, .snooze(.zero), now: 1002)
        #expect(flow.settleAll(now: 1002).count == 1)
        #expect(flow.nextJob(now: at(1003)) == .claim(1, .below(.seconds(60)), floor: clock(-60_000)))
    }

    @Test func sweepsTakeAShareOfTheTime() {
        var flow = Self.floored()
        flow.answer(flow.nextJob(now: at(1)), [], now: 1)
        flow.answer(flow.nextJob(now: at(1)), [], now: 1)
        flow.hint(.notified, now: at(60))
        let sweep = flow.nextJob(now: at(60))
        #expect(sweep == .claim(2, .below(.seconds(1)), floor: clock(-1000)))
        flow.answer(sweep, [lease(3)], sent: 60, now: 70)
        // Ten milliseconds of work: two hundred of rest.
        flow.hint(.notified, now: at(269))
        #expect(flow.nextJob(now: at(269))?.claim?.reach == .floor)
        flow.answer(.claim(1, .floor, floor: clock(0)), now: 269)
        flow.hint(.notified, now: at(271))
        #expect(flow.nextJob(now: at(271))?.claim?.reach == .below(.seconds(1)))
    }

    @Test func aSweepNeverRides() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        #expect(flow.nextJob(now: at(1))?.claim?.reach == .floor)
    }

    @Test func aReconnectDropsTheFloor() {
        var flow = Self.floored()
        flow.hint(.reconnected, now: at(2))
        #expect(flow.nextJob(now: at(2)) == .claim(2))
    }

    @Test func aClockThatGoesBackDropsTheFloor() {
        var flow = Self.floored()
        let claim = flow.nextJob(now: at(2))
        flow.answer(claim, clock: clock(-3000), sent: 2, now: 3)
        flow.hint(.notified, now: at(10))
        #expect(flow.nextJob(now: at(10)) == .claim(2))
    }

    /// Two pumps: the claim that was begun first may be answered last, and no clock has gone back.
    @Test func answersOutOfOrderKeepTheFloor() {
        var flow = Self.floored(workers: 6)
        #expect(flow.begin(0, now: 2) == 1)
        flow.end(0, .done, now: 2)
        let first = flow.nextJob(now: at(2))
        #expect(flow.begin(0, now: 2) == 2)
        flow.end(0, .done, now: 2.1)
        let second = flow.nextJob(now: at(2.1))
        #expect(first?.settlements.count == 1)
        #expect(second?.settlements.count == 1)
        flow.answer(second, clock: clock(2.6), sent: 2.1, now: 3)
        flow.answer(first, clock: clock(2.5), sent: 2, now: 3.1)
        flow.hint(.notified, now: at(4))
        #expect(flow.nextJob(now: at(4))?.claim?.reach == .floor)
    }

    @Test func anUnknownClaimDropsTheFloor() {
        var flow = Self.floored()
        let claim = flow.nextJob(now: at(2))
        flow.fail(claim, .unavailable("gone"), now: 3)
        #expect(flow.nextJob(now: at(3)) != nil)
        flow.closedPhantoms(nil, now: at(4))
        #expect(flow.nextJob(now: at(100)) == .claim(2))
    }
}
