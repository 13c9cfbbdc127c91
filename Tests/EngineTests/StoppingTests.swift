import Engine
import Testing

@Suite struct StoppingTests {
    @Test func quietGoesOnWithWhatIsHeld() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        flow.quiet()
        #expect(flow.begin(0, now: 1) == 1)
        flow.end(0, .done, now: 2)
        #expect(flow.nextJob(now: at(2)) == .settle(settlement(lease(1), .done)))
        flow.answer(.settle(settlement(lease(1), .done)), now: 3)
        #expect(flow.nextJob(now: at(3)) == nil)
        flow.resume(now: at(4))
        #expect(flow.nextJob(now: at(4))?.claim != nil)
    }

    @Test func aStopHandsBackWhatHasNotBegun() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1), lease(2)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.stop(until: at(25_000), allowance: .seconds(5), now: at(10))
        let job = flow.nextJob(now: at(10))
        #expect(job == .settle(settlement(lease(2), .released(after: .zero))))
        #expect(flow.begin(1, now: 10) == nil)
        flow.answer(job, now: 11)
        #expect(!flow.isFinished)
        #expect(flow.nextRenewal(now: at(10_010))?.fences == [lease(1).fence], "to the last")
        flow.end(0, .done, now: 12_000)
        #expect(!flow.isFinished)
        #expect(flow.settleAll(now: 12_000) == [settlement(lease(1), .done)])
        #expect(flow.isFinished)
    }

    @Test func whatArrivesAfterTheStopGoesBack() {
        var flow = Flow(policy(workers: 2))
        let claim = flow.nextJob(now: at(0))
        flow.stop(until: at(1000), allowance: .seconds(5), now: at(1))
        #expect(!flow.isFinished, "a claim is under way")
        flow.answer(claim, [lease(1)], now: 2)
        #expect(flow.begin(0, now: 2) == nil)
        #expect(flow.settleAll(now: 2) == [settlement(lease(1), .released(after: .zero))])
        #expect(flow.isFinished)
    }

    @Test func aSecondStopShortensTheGrace() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.stop(until: at(25_000), allowance: .seconds(5), now: at(10))
        #expect(flow.tick(now: at(20)) == [])
        flow.stop(until: at(20), allowance: .seconds(5), now: at(20))
        #expect(flow.tick(now: at(20)) == [0])
    }

    @Test func aHaltGivesUp() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        flow.fail(flow.nextJob(now: at(1)), .unavailable("gone"), now: 2)
        flow.stop(until: at(10), allowance: .seconds(5), now: at(3))
        #expect(flow.tick(now: at(5009)) == [])
        #expect(!flow.isFinished)
        #expect(flow.tick(now: at(5010)) == [])
        #expect(flow.isFinished)
        #expect(flow.takeNews()?.abandoned == 1)
        #expect(flow.nextJob(now: at(5011)) == nil)
    }

    /// Cancelled in flight, it would leave a row open, and the message counted as a crash.
    @Test func aStopWaitsForTheJournal() {
        var flow = Flow(policy(workers: 1))
        let message = lease(1, readCount: 2)
        flow.receive([message], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.tick(now: at(30_000)) == [0])
        flow.end(0, .done, now: 30_001)
        flow.stop(until: at(40_000), allowance: .seconds(5), now: at(30_002))
        let job = flow.nextJob(now: at(30_002))
        #expect(job == .settle(lost: [message.delivery]))
        #expect(!flow.isFinished)
        flow.answer(job, now: 30_003)
        #expect(flow.isFinished)
    }

    // MARK: - Phantoms

    /// A claim whose reply never came may have been committed.
    static func phantom() -> Flow {
        var flow = Flow(policy(workers: 2))
        flow.fail(flow.nextJob(now: at(0)), .unavailable("gone"), now: 10)
        return flow
    }

    @Test func phantomsAreClosedBeforeTheNextClaimAndOnceMore() {
        var flow = Self.phantom()
        #expect(flow.nextJob(now: at(10)) == .closePhantoms(holding: []))
        #expect(flow.nextJob(now: at(100)) == nil)
        flow.closedPhantoms(nil, now: at(100))
        #expect(flow.nextJob(now: at(100)) == .claim(2))
        flow.answer(.claim(2), [lease(1)], now: 101)
        #expect(flow.nextJob(now: at(10_010)) == .closePhantoms(holding: [lease(1).delivery]))
        flow.closedPhantoms(nil, now: at(10_011))
        #expect(flow.nextJob(now: at(10_012))?.claim != nil)
        #expect(flow.nextJob(now: at(60_000))?.claim == nil)
    }

    @Test func phantomsAreTriedUntilTheyAreClosed() {
        var flow = Self.phantom()
        #expect(flow.nextJob(now: at(10)) == .closePhantoms(holding: []))
        flow.closedPhantoms(.unavailable("still"), now: at(20))
        #expect(flow.nextJob(now: at(100)) == nil)
        #expect(flow.nextJob(now: at(220)) == .closePhantoms(holding: []))
    }

    /// The other pump's claim has opened rows that nobody here knows yet; they are no phantoms.
    @Test func phantomsWaitForTheClaimUnderWay() {
        var few = policy(workers: 4)
        few.batchLimit = 2
        var flow = Flow(few)
        let first = flow.nextJob(now: at(0))
        let second = flow.nextJob(now: at(0))
        #expect(first == .claim(2))
        #expect(second == .claim(2))
        flow.fail(first, .unavailable("gone"), now: 1)
        #expect(flow.nextJob(now: at(1)) == nil)
        let claimed = lease(1, readCount: 2)
        flow.answer(second, [claimed], now: 2)
        #expect(flow.nextJob(now: at(2)) == .closePhantoms(holding: [claimed.delivery]))
    }

    @Test func aStopWithNothingInHandClosesPhantomsOnce() {
        var flow = Self.phantom()
        flow.stop(until: at(5000), allowance: .seconds(5), now: at(20))
        #expect(flow.nextJob(now: at(20)) == .closePhantoms(holding: []))
        #expect(!flow.isFinished)
        flow.closedPhantoms(nil, now: at(21))
        #expect(flow.isFinished, "the server may still be at the claim, and there is no work to wait beside")
    }

    @Test func remnantsAreGivenUpAfterASecond() {
        var flow = Self.phantom()
        flow.stop(until: at(25_000), allowance: .seconds(5), now: at(20))
        #expect(flow.nextJob(now: at(20)) == .closePhantoms(holding: []))
        #expect(flow.tick(now: at(1019)) == [])
        #expect(!flow.isFinished)
        #expect(flow.tick(now: at(1020)) == [])
        #expect(flow.isFinished)
        #expect(flow.takeNews() == nil, "nothing is lost by it")
    }

    @Test func withTheDatabaseAwayAndNothingInHandAStopIsImmediate() {
        var flow = Flow(policy(workers: 2))
        #expect(flow.nextJob(now: at(0))?.claim != nil)
        flow.hint(.away, now: at(1))
        flow.stop(until: at(25_000), allowance: .seconds(5), now: at(2))
        #expect(flow.isFinished)
    }

    @Test func theEndOfTheGraceTellsWhomItCutsOff() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1), lease(2)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.begin(1, now: 0) == 2)
        flow.stop(until: at(100), allowance: .seconds(5), now: at(10))
        flow.end(1, .done, now: 50)
        #expect(flow.tick(now: at(100)) == [0])
        #expect(flow.takeNews()?.cutOff == [1])
    }

    @Test func aStopDoesNotWaitForADatabaseThatIsAway() {
        var flow = Self.phantom()
        flow.stop(until: at(25_000), allowance: .seconds(5), now: at(20))
        #expect(flow.nextJob(now: at(20)) == .closePhantoms(holding: []))
        flow.closedPhantoms(.unavailable("still"), now: at(21))
        #expect(flow.isFinished)
    }
}
