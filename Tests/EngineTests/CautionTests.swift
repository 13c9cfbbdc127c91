import Engine
import Testing

/// A message suspected of killing its process runs alone.
@Suite struct CautionTests {
    static let suspect = lease(9, readCount: 4, History(crashes: 2))

    static func flow() -> Flow {
        Flow(policy(workers: 3, runsInProcess: true))
    }

    @Test func otherProcessesAreNoDanger() {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(9, readCount: 9, History(crashes: 7))], now: 0)
        #expect(flow.begin(0, now: 0) == 9)
    }

    @Test func othersAreHandedBackFirst() {
        var flow = Self.flow()
        let innocent = lease(1)
        flow.receive([innocent, Self.suspect], now: 0)
        #expect(flow.begin(0, now: 0) == nil)
        let job = flow.nextJob(now: at(0))
        #expect(job == .settle(settlement(innocent, .released(after: .zero))))
        #expect(flow.nextJob(now: at(0)) == nil, "nothing is claimed meanwhile")
        #expect(flow.begin(0, now: 0) == nil, "and that must be on disk")
        flow.answer(job, now: 1)
        #expect(flow.begin(0, now: 1) == nil)
        // Its row is opened now, and not by its claim: while it waited, others could end the process.
        let opening = flow.nextJob(now: at(1))
        #expect(opening == .exchange(Exchange(begins: Self.suspect.delivery)))
        #expect(flow.begin(0, now: 1) == nil)
        flow.answer(opening, now: 2)
        #expect(flow.begin(0, now: 2) == 9)
        #expect(flow.begin(1, now: 2) == nil)
        #expect(flow.nextJob(now: at(2)) == nil)
        flow.end(0, .done, now: 3)
        let done = flow.nextJob(now: at(3))
        #expect(done?.settlements == [settlement(Self.suspect, .done)])
        #expect(done?.claim == nil, "nothing else runs before that is on disk")
        #expect(flow.nextJob(now: at(3)) == nil)
        flow.answer(done, now: 4)
        let next = flow.nextJob(now: at(4))
        #expect(next?.claim?.limit == 1, "one at a time, until one comes that is none")
        flow.answer(next, [innocent], now: 4)
        #expect(flow.nextJob(now: at(4))?.claim?.limit == 2)
    }

    /// Somebody else's transaction may hold a finished message's row for hours.
    @Test func anOutcomeThatIsNeverTakenIsNotWaitedFor() {
        var flow = Self.flow()
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        flow.receive([Self.suspect], now: 1)
        var now = 10.0
        var began = false
        for _ in 0..<60 where !began {
            now += 1_000
            while let job = flow.nextJob(now: at(now)) {
                if job.exchange?.begins != nil {
                    flow.answer(job, now: now)
                    began = flow.begin(0, now: now) == 9
                    break
                }
                flow.fail(job, .busy("lock timeout", smaller: false), now: now)
            }
        }
        #expect(began)
    }

    @Test func whatRunsIsWaitedFor() {
        var flow = Self.flow()
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.receive([Self.suspect], now: 1)
        #expect(flow.begin(1, now: 1) == nil)
        #expect(flow.nextJob(now: at(1)) == nil)
        flow.end(0, .done, now: 5)
        #expect(flow.settleAll(now: 5).count == 1)
        #expect(flow.nextJob(now: at(5)) == .exchange(Exchange(begins: Self.suspect.delivery)))
    }

    @Test func anOpeningThatFailedIsTriedAgain() {
        var flow = Self.flow()
        flow.receive([Self.suspect], now: 0)
        let opening = flow.nextJob(now: at(0))
        flow.fail(opening, .unavailable("gone"), now: 1)
        #expect(flow.begin(0, now: 1) == nil)
        #expect(flow.nextJob(now: at(1)) == nil)
        #expect(flow.nextJob(now: at(100)) == opening)
        flow.answer(opening, now: 101)
        #expect(flow.begin(0, now: 101) == 9)
    }

    @Test func aSuspectWhoseLeaseIsGoneDoesNotRun() {
        var flow = Self.flow()
        flow.receive([Self.suspect], now: 0)
        flow.answer(flow.nextJob(now: at(0)), refused: [Self.suspect.fence], now: 1)
        #expect(flow.begin(0, now: 1) == nil)
        #expect(flow.nextJob(now: at(1)) == .settle(lost: [Self.suspect.delivery]))
    }

    @Test func aSuspectIsRenewedAndCanBeLost() {
        var flow = Self.flow()
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.receive([Self.suspect], now: 1)
        #expect(flow.nextRenewal(now: at(10_001))?.fences == [lease(1).fence, Self.suspect.fence])
        let renewals = Renewals(results: [.renewed, .lost], sent: at(10_001))
        #expect(flow.renewed(renewals, [lease(1), Self.suspect], now: 10_002) == [])
        #expect(flow.nextJob(now: at(10_002)) == .settle(lost: [Self.suspect.delivery]))
    }

    /// The end of its lease was forgotten, once it had been renewed and a tick had passed without a run.
    @Test func aSuspectsLeaseEndsInTime() {
        var flow = Self.flow()
        flow.receive([Self.suspect], now: 0)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [Self.suspect.fence])
        #expect(flow.renewed(Renewals(results: [.renewed], sent: at(10_000)), [Self.suspect], now: 10_001) == [])
        #expect(flow.tick(now: at(30_000)) == [])
        flow.answer(flow.nextJob(now: at(30_000)), now: 30_001)
        #expect(flow.begin(0, now: 30_001) == 9)
        #expect(flow.nextAlarm().map { $0 <= at(40_000) } == true)
        #expect(flow.tick(now: at(40_000)) == [0])
    }

    @Test func tooManyCrashesAreTheEnd() {
        var flow = Self.flow()
        let killer = lease(9, readCount: 5, History(crashes: 3))
        flow.receive([killer], now: 0)
        #expect(flow.begin(0, now: 0) == nil)
        let reason = "crashed: 3 deliveries ended with the worker process, without an outcome"
        #expect(flow.nextJob(now: at(0)) == .settle(settlement(killer, .deadLetter(reason: reason))))
    }
}
