import Engine
import Testing

/// How much is claimed, and when nothing is.
@Suite struct ClaimingTests {
    @Test func asManyAsThereArePlaces() {
        var flow = Flow(policy(workers: 3))
        #expect(flow.nextJob(now: at(0)) == .claim(3))
        #expect(flow.nextJob(now: at(0)) == nil, "all places are spoken for")
        flow.answer(.claim(3), [lease(1)], now: 1)
        #expect(flow.nextJob(now: at(3))?.claim?.limit == 2)
    }

    @Test func quickHandlersGetMorePlaces() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        for moment in stride(from: 0.0, to: 10, by: 1) {
            _ = flow.begin(0, now: moment)
            flow.end(0, .done, now: moment + 0.9)
            let job = flow.nextJob(now: at(moment + 0.9))
            flow.answer(job, [lease(Int64(moment) + 2)], now: moment + 1)
        }
        flow.hint(.notified, now: at(10))
        let limit = flow.nextJob(now: at(10))?.claim?.limit ?? 0
        #expect(limit > 20, "fifty milliseconds' worth")
        #expect(limit < 100)
    }

    /// A hundred thousand messages a second, by one worker; 500 of them have just arrived.
    private func flooded(workers: Int = 1) -> Flow {
        var flow = Flow(policy(workers: workers))
        flow.receive([lease(1)], now: 0)
        for number in 1...600 {
            let moment = Double(number) / 100
            _ = flow.begin(0, now: moment - 0.01)
            flow.end(0, .done, now: moment)
            var arriving = number < 600 ? [lease(Int64(number + 1))] : (1001...1500).map { lease($0) }
            // What is settled may go by itself.
            flow.hint(.notified, now: at(moment))
            while !arriving.isEmpty, let job = flow.nextJob(now: at(moment)) {
                flow.answer(job, job.claim == nil ? [] : arriving, now: moment)
                if job.claim != nil { arriving = [] }
            }
        }
        return flow
    }

    @Test func aFloodGoesInFullBatches() {
        var flow = flooded()
        let second = flow.nextJob(now: at(6))
        #expect(second?.claim?.limit == 500, "for the places that are left")
        for number in 1..<500 {
            #expect(flow.begin(0, now: 6) == Int64(1000 + number))
            flow.end(0, .done, now: 6)
            #expect(flow.nextJob(now: at(6)) == nil, "the batch is not full")
        }
        _ = flow.begin(0, now: 6)
        flow.end(0, .done, now: 6)
        let third = flow.nextJob(now: at(6))
        #expect(third?.settlements.count == 500)
        #expect(third?.claim?.limit == 500)
    }

    @Test func aBatchWaitsNotForLong() {
        var flow = flooded()
        _ = flow.nextJob(now: at(6))
        _ = flow.begin(0, now: 6)
        flow.end(0, .done, now: 6)
        #expect(flow.nextJob(now: at(6)) == nil)
        #expect(flow.nextAlarm().map { $0 <= at(16) } ?? false)
        #expect(flow.nextJob(now: at(16))?.settlements.count == 1, "the next handler takes its time")
    }

    @Test func workersAreNotKeptWaitingForAFullBatch() {
        var flow = flooded()
        _ = flow.nextJob(now: at(6))
        for number in 1...500 {
            _ = flow.begin(0, now: 6)
            flow.end(0, number % 100 == 0 ? .failed("no") : .done, now: 6)
        }
        // Five of the outcomes are no success and went apart.
        let jobs = [flow.nextJob(now: at(6)), flow.nextJob(now: at(6))]
        #expect(jobs.map { $0?.settlements.count } == [495, 5])
    }

    /// A claim brings a quarter of what may be held at the most; larger messages are read when their turn comes.
    @Test func bytesAreBounded() {
        var flow = Flow(policy(workers: 8, maxInflightBytes: 256 << 10))
        let first = flow.nextJob(now: at(0))
        #expect(first?.claim?.limit == 2, "of the usual size, twice over")
        #expect(first?.claim?.bytesEach == 32 << 10)
        flow.answer(
            first,
            [lease(1, size: 200 << 10, isUnread: true), lease(2, size: 100 << 10, isUnread: true)],
            now: 1
        )
        #expect(flow.begin(0, now: 1) == 1)
        #expect(flow.begin(1, now: 1) == nil, "300 KiB of 256 would be held")
        flow.hint(.notified, now: at(2))
        #expect(flow.nextJob(now: at(2))?.claim == nil, "nor is there room to claim for")
        flow.end(0, .done, now: 3)
        #expect(flow.begin(1, now: 3) == 2)
        flow.end(1, .done, now: 4)
        #expect(flow.settleAll(now: 4).count == 2)
    }

    /// The connections are all queues': reads of a locked one must not stand before others' settlements.
    @Test func oneBodyIsReadAtATimeAndSmallOnesPass() {
        var flow = Flow(policy(workers: 8, maxInflightBytes: 256 << 10))
        let large = (1...2).map { lease(Int64($0), size: 60 << 10, isUnread: true) }
        flow.receive(large, now: 0)
        #expect(flow.begin(0, now: 1) == 1)
        flow.receive([lease(3)], now: 2)
        #expect(flow.begin(1, now: 3) == 3, "it passes the one that waits to be read")
        #expect(flow.begin(2, now: 3) == nil)
        flow.hasRead(worker: 0)
        #expect(flow.begin(2, now: 4) == 2)
    }

    /// Whatever its size, one message alone goes through.
    @Test func oneIsAlwaysPossible() {
        var flow = Flow(policy(workers: 8, maxInflightBytes: 1 << 10))
        let first = flow.nextJob(now: at(0))
        #expect(first?.claim?.limit == 1)
        flow.answer(first, [lease(1, size: 1 << 20, isUnread: true)], now: 1)
        #expect(flow.begin(0, now: 1) == 1)
        flow.hint(.notified, now: at(2))
        #expect(flow.nextJob(now: at(2)) == nil)
    }

    // MARK: - Faults and pauses

    /// Several workers find out at once that the handler cannot be started. That is one fault, and a pause of a second.
    @Test func aHandlerThatCannotBeStarted() {
        var flow = Flow(policy(workers: 4))
        flow.receive((1...4).map { lease($0) }, now: 0)
        for worker in 0..<3 { #expect(flow.begin(worker, now: 0) != nil) }
        for worker in 0..<3 { flow.end(worker, .notStarted("no such file"), now: 1) }
        let settled = flow.settleAll(now: 1)
        #expect(settled.count == 4, "what waited goes back too")
        #expect(settled.allSatisfy { $0.outcome == .released(after: .seconds(5)) && $0.attempt == nil })
        #expect(flow.snapshot(now: at(1)).paused == "no such file")
        #expect(flow.nextJob(now: at(700)) == nil)
        let trial = flow.nextJob(now: at(1300))
        #expect(trial?.claim?.limit == 1, "then one message tries")
        flow.answer(trial, [lease(5)], now: 1301)
        #expect(flow.begin(0, now: 1301) == 5)
        flow.end(0, .done, now: 1302)
        #expect(flow.snapshot(now: at(1302)).paused == nil)
        #expect(flow.nextJob(now: at(1302))?.claim?.limit == 4)
    }

    @Test func aQueueThatIsRefusedPauses() {
        var flow = Flow(policy())
        flow.fail(flow.nextJob(now: at(0)), .refused("no such table"), now: 1)
        #expect(flow.snapshot(now: at(1)).paused == "no such table")
        #expect(flow.nextJob(now: at(700)) == nil)
        #expect(flow.nextJob(now: at(1300)) == .claim(2))
        flow.answer(.claim(2), now: 1301)
        #expect(flow.snapshot(now: at(1301)).paused == nil)
    }

    // MARK: - The alarm

    /// What is due, and waits for a pump or a place, must not ring the alarm without end.
    @Test func aPauseThatIsOverRingsOnce() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.fail(flow.nextJob(now: at(2)), .busy("lock", smaller: false), now: 3)
        #expect(flow.nextAlarm().map { $0 < at(70) } == true)
        #expect(flow.tick(now: at(70)) == [])
        #expect(flow.nextAlarm() == at(10_000), "the renewal")
    }

    @Test func aSettlementDueRingsOnce() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        flow.fail(flow.nextJob(now: at(1)), .busy("lock", smaller: false), now: 2)
        #expect(flow.nextAlarm().map { $0 < at(60) } == true)
        // Both pumps are busy with something else: nobody asks for a job.
        #expect(flow.tick(now: at(60)) == [])
        #expect(flow.nextAlarm().map { $0 > at(60) } ?? true)
    }

    @Test func aStopThatIsOverdueRingsOnce() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.stop(until: at(100), allowance: .seconds(5), now: at(1))
        #expect(flow.nextAlarm() == at(100))
        #expect(flow.tick(now: at(100)) == [0])
        // The handler does not heed it yet.
        #expect(flow.nextAlarm().map { $0 > at(100) } == true)
    }

    /// Another daemon takes its open row for a crash.
    @Test func whatWasLostIsClosedFirst() {
        var flow = Flow(policy())
        let lost = lease(1, readCount: 2)
        flow.receive([lost], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.tick(now: at(30_001)) == [0])
        #expect(flow.nextJob(now: at(30_001)) == .settle(lost: [lost.delivery]))
        // Whoever locks the journal stops no fresh messages.
        #expect(flow.nextJob(now: at(30_001))?.claim != nil)
    }
}
