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

    /// Claims of everything that take too long, until even one message does.
    static func tooDeep() -> (flow: Flow, now: Instant) {
        var flow = Flow(policy())
        var now = at(0)
        for limit in [2, 1] {
            let job = flow.nextJob(now: now)
            #expect(job?.claim == Claim(limit: limit, reach: .all, floor: nil, bytesEach: (16 << 20) / limit))
            now = now + .seconds(10)
            if let exchange = job?.exchange {
                flow.failed(exchange, .busy("statement timeout", smaller: true), now: now)
            }
            now = flow.nextAlarm() ?? now
        }
        return (flow, now)
    }

    /// A start under a snapshot that was held open for hours: all that is dead lies in front of what is visible.
    @Test func aFirstClaimThatTakesTooLongIsFollowedByOneOfWhatIsRecent() {
        var (flow, now) = Self.tooDeep()
        let recent = flow.nextJob(now: now)
        #expect(recent?.claim?.reach == .recent)
        guard let exchange = recent?.exchange else { return }
        now = now + .milliseconds(1)
        flow.completed(exchange, ExchangeResult(clock: clock(0), sent: now), now: now)
        flow.hint(.notified, now: now)
        // Now there is a floor, and what lies below is for the sweeps.
        #expect(flow.nextJob(now: now)?.claim?.reach != .all)
    }

    /// What waited longer than that is found by the deepest sweep, and taken from there, while new ones trickle in.
    @Test func aBacklogBelowTheFloorIsTakenFromItsLowestOn() {
        var (flow, now) = Self.tooDeep()
        guard let recent = flow.nextJob(now: now)?.exchange else { return }
        let trickle = ExchangeResult(claimed: [lease(9, vt: 0)], clock: clock(0), sent: now)
        flow.completed(recent, trickle, now: now)
        flow.hint(.notified, now: now)
        guard let sweep = flow.nextJob(now: now)?.exchange, let claim = sweep.claim else {
            Issue.record("no sweep")
            return
        }
        #expect(claim.reach != .recent && claim.reach != .floor)
        #expect(claim.limit == 1)
        flow.completed(sweep, ExchangeResult(claimed: [lease(1, vt: -90_000)], clock: clock(1), sent: now), now: now)
        #expect(flow.floor.value == clock(-90_000), "more of them may lie just above")
        // One that was under way above that knows nothing of what lies between.
        let above = Claim(limit: 1, reach: .floor, floor: clock(0))
        flow.floor.claimed(above, [lease(10, vt: 5)], clock: clock(2), took: .zero, now: now)
        #expect(flow.floor.value == clock(-90_000))
    }

    /// All that is dead since then may lie above a floor that was lowered for one old message.
    @Test func aFloorThatWasLoweredTooFarIsRaisedAgain() {
        var floor = Floor()
        let now = at(0)
        let first = Claim(limit: 2, reach: .all, floor: nil)
        floor.claimed(first, [lease(1, vt: 0)], clock: clock(0), took: .zero, now: now)
        guard case .below = floor.claim(limit: 1, now: now, riding: false).reach else {
            Issue.record("no sweep")
            return
        }
        let sweep = floor.claim(limit: 1, now: now, riding: false)
        floor.claimed(sweep, [lease(2, vt: -3_600_000)], clock: clock(0), took: .zero, now: now)
        let lowered = floor.claim(limit: 1, now: now, riding: false)
        #expect(lowered.floor == clock(-3_600_010))
        floor.failed(Claim(limit: 1, reach: .floor, floor: clock(0)), now: now)
        #expect(floor.value == clock(-3_600_000), "one from before says nothing of it")
        floor.failed(lowered, now: now)
        #expect(floor.value == clock(0))
        // Nor does a reconnect remember the lower one.
        floor.claimed(sweep, [lease(3, vt: -3_600_000)], clock: clock(0), took: .zero, now: now)
        floor.reset()
        floor.failed(first, now: now)
        #expect(floor.value == clock(0))
    }

    /// After a reconnect, and after a start, it is the first claim that finds the old one.
    @Test(arguments: [false, true]) func soIsOneThatTheFirstClaimLowered(isFresh: Bool) {
        var floor = Floor()
        let now = at(0)
        let first = Claim(limit: 1, reach: .all, floor: nil)
        if !isFresh {
            floor.claimed(first, [lease(1, vt: 0)], clock: clock(0), took: .zero, now: now)
            floor.reset()
        }
        floor.claimed(first, [lease(2, vt: -3_600_000)], clock: clock(0), took: .zero, now: now)
        let above = Claim(limit: 1, reach: .floor, floor: clock(-3_600_000))
        floor.failed(above, now: now)
        if isFresh {
            // Twice may be a passing trouble of the server.
            floor.failed(above, now: now)
            #expect(floor.value == clock(-3_600_000))
            floor.failed(above, now: now)
            #expect(floor.claim(limit: 1, now: now, riding: true).reach == .recent)
        } else {
            #expect(floor.value == clock(0))
        }
    }

    /// Slow handlers claim one at a time, and of a floor that nothing has lowered no more is known.
    @Test func aServerThatIsSlowForAMomentCostsNoFloor() {
        var floor = Floor()
        let now = at(0)
        let one = Claim(limit: 1, reach: .floor, floor: clock(0))
        floor.claimed(
            Claim(limit: 1, reach: .all, floor: nil),
            [lease(1, vt: 0)],
            clock: clock(0),
            took: .zero,
            now: now
        )
        for _ in 0..<5 {
            floor.failed(one, now: now)
            floor.failed(one, now: now)
            floor.claimed(one, [lease(2, vt: 0)], clock: clock(1), took: .zero, now: now)
        }
        #expect(floor.value == clock(0))
        // Once dropped it is known for when everything takes too long.
        for _ in 0..<3 { floor.failed(one, now: now) }
        #expect(floor.value == nil)
        floor.failed(Claim(limit: 1, reach: .all, floor: nil), now: now)
        #expect(floor.value == clock(0))
    }

    /// Two pumps: both had begun from the lowered floor.
    @Test func theSecondFailureDoesNotCostTheFloorThatTheFirstRestored() {
        var floor = Floor()
        let now = at(0)
        let all = Claim(limit: 1, reach: .all, floor: nil)
        floor.claimed(all, [lease(1, vt: 0)], clock: clock(0), took: .zero, now: now)
        floor.claimed(all, [lease(2, vt: -3_600_000)], clock: clock(0), took: .zero, now: now)
        for _ in 0..<5 { floor.failed(Claim(limit: 1, reach: .floor, floor: clock(-3_600_000)), now: now) }
        #expect(floor.value == clock(0))
    }

    /// The settlement that it rode with may be what took too long.
    @Test func aRidingClaimThatFailsCostsNoFloor() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1, vt: 0)], now: 0)
        var now = 1.0
        for _ in 0..<4 {
            _ = flow.begin(0, now: now)
            flow.end(0, .done, now: now)
            let riding = flow.nextJob(now: at(now))
            #expect(riding?.claim?.reach == .floor)
            flow.fail(riding, .busy("statement timeout", smaller: true), now: now)
            #expect(flow.floor.value == clock(0))
            now += 5_000
            flow.answer(flow.nextJob(now: at(now)), now: now)
            guard let claim = flow.nextJob(now: at(now)) else { break }
            flow.answer(claim, [lease(2, vt: 0)], now: now)
        }
    }

    /// After a fail-over to a server whose clock is behind, its clock is the limit.
    @Test func noFloorIsRestoredAboveTheServersClock() {
        var floor = Floor()
        let now = at(0)
        let all = Claim(limit: 1, reach: .all, floor: nil)
        floor.claimed(all, [lease(1, vt: 3_600_000)], clock: clock(3_600_000), took: .zero, now: now)
        floor.reset()
        floor.claimed(all, [lease(2, vt: -60_000)], clock: clock(0), took: .zero, now: now)
        floor.failed(Claim(limit: 1, reach: .floor, floor: clock(-60_000)), now: now)
        #expect(floor.value == clock(0))
    }

    @Test func aReconnectRemembersTheHighest() {
        var floor = Floor()
        let now = at(0)
        let all = Claim(limit: 1, reach: .all, floor: nil)
        floor.claimed(all, [lease(1, vt: 0)], clock: clock(0), took: .zero, now: now)
        floor.claimed(all, [lease(2, vt: -60_000)], clock: clock(0), took: .zero, now: now)
        floor.claimed(all, [], clock: clock(5_000), took: .zero, now: now)
        floor.reset()
        floor.failed(all, now: now)
        #expect(floor.value == clock(5_000))
    }

    /// A batch of one send has one `vt`: the rest of it must not be passed over.
    @Test func theFloorIsInclusive() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1, vt: 0), lease(2, vt: 0)], now: 0)
        _ = flow.begin(0, now: 1)
        flow.end(0, .done, now: 1)
        #expect(flow.nextJob(now: at(1))?.claim == Claim(limit: 1, reach: .floor, floor: clock(0), bytesEach: 16 << 20))
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
