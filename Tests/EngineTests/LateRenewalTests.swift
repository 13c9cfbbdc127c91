import Engine
import Testing

/// A renewal that lands behind a settlement which delays the message: where it does not find the fence ended, it moves
/// the message's `vt` once more.
@Suite struct LateRenewalTests {
    /// Of PGMQ before 1.10, where the fence outlives a retry; or of one whose fence ends with it.
    private static func lease(_ id: Int64 = 1, outlivesDelay: Bool = true) -> Lease {
        let source = FenceSource(outlivesDelay: outlivesDelay)
        let fence = Fence(messageID: id, readCount: 3, readAt: clock(0), source: source)
        return Lease(
            delivery: Delivery(fence: fence, enqueuedAt: clock(-1000)),
            body: [123, 125],
            headers: nil,
            size: 10,
            history: History(attempts: 2),
            formerVT: clock(0)
        )
    }

    /// Its third failure puts it off for eight seconds.
    private static func retry(_ lease: Lease, after delay: Duration = .seconds(8), took: Duration) -> Settlement {
        let attempt = Attempt(number: 3, kind: .failed, duration: took, reason: "no")
        return settlement(lease, .retry(after: delay, reason: "no"), attempt)
    }

    /// Runs them all at 0 s.
    private static func running(_ leases: [Lease]) -> Flow {
        var flow = Flow(policy(workers: leases.count, maxAttempts: 5))
        flow.receive(leases, now: 0)
        for (worker, lease) in leases.enumerated() {
            #expect(flow.begin(worker, now: 0) == lease.fence.messageID)
        }
        flow.quiet()
        return flow
    }

    @Test func `a renewal says until when it may land`() {
        var flow = Self.running([Self.lease()])
        #expect(flow.nextRenewal(now: at(10_000))?.notAfter == clock(15_000))
    }

    /// It fails while the renewal is under way, which may end before, unanswered or not, or still be so.
    enum End: CaseIterable { case unanswered, open, answeredMeanwhile }

    @Test(arguments: End.allCases)
    func `a retry is written once more after the renewal's last moment`(end: End) {
        let lease = Self.lease()
        var flow = Self.running([lease])
        #expect(flow.nextRenewal(now: at(10_000))?.fences == [lease.fence])
        if end == .unanswered { flow.renewalFailed(now: at(10_050)) }
        flow.end(0, .failed("no"), now: 10_100)
        let retry = Self.retry(lease, took: .milliseconds(10_100))
        let job = flow.nextJob(now: at(10_100))
        #expect(job == .settle(retry))
        if end == .answeredMeanwhile {
            let renewals = Renewals(results: [.renewed], sent: at(10_000))
            #expect(flow.renewed(renewals, [lease], now: 10_105) == [])
        }
        flow.answer(job, now: 10_110)
        // Answered, it lands no more: there is nothing to wait for.
        let last = end == .answeredMeanwhile ? 10_111.0 : 15_000.0
        if end != .answeredMeanwhile {
            #expect(flow.nextJob(now: at(14_999)) == nil)
            #expect(flow.nextAlarm().map { $0 <= at(15_000) } == true)
        }
        let again = flow.nextJob(now: at(last))
        // Eight seconds from when it was written.
        let left = Duration.microseconds(Int64((18_110 - last) * 1000))
        #expect(again == .settle(Self.retry(lease, after: left, took: .milliseconds(10_100))))
        flow.answer(again, now: last + 10)
        #expect(flow.nextJob(now: at(60_000)) == nil)
        #expect(flow.counters.retried == 1)
        #expect(flow.snapshot(now: at(60_000)).unsettled == 0)
    }

    @Test func `the second writing is dropped without a word where the fence is gone`() {
        let lease = Self.lease()
        var flow = Self.running([lease])
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        flow.end(0, .snooze(.seconds(1)), now: 10_100)
        flow.answer(flow.nextJob(now: at(10_100)), now: 10_110)
        _ = flow.takeNews()
        let again = flow.nextJob(now: at(15_000))
        // It was due meanwhile, and somebody may have claimed it.
        #expect(again == .settle(settlement(lease, .snooze(.zero))))
        flow.answer(again, refused: [lease.fence], now: 15_010)
        #expect(flow.nextJob(now: at(60_000)) == nil)
        #expect(flow.takeNews() == nil)
        #expect(flow.counters.snoozed == 1)
        #expect(flow.counters.lost == 0)
    }

    @Test func `nothing is repeated of a renewal that was answered before`() {
        let lease = Self.lease()
        var flow = Self.running([lease])
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        let renewals = Renewals(results: [.renewed], sent: at(10_000))
        #expect(flow.renewed(renewals, [lease], now: 10_050) == [])
        flow.end(0, .failed("no"), now: 10_100)
        #expect(flow.settleAll(now: 10_100).count == 1)
        #expect(flow.nextJob(now: at(15_000)) == nil)
        #expect(flow.counters.retried == 1)
    }

    @Test func `nothing is repeated where the retry ends the fence, or the message leaves its queue`() {
        let leases = [Self.lease(1, outlivesDelay: false), Self.lease(2), Self.lease(3)]
        var flow = Self.running(leases)
        #expect(flow.nextRenewal(now: at(10_000))?.fences == leases.map(\.fence))
        flow.end(0, .failed("no"), now: 10_100)
        flow.end(1, .done, now: 10_100)
        flow.end(2, .deadLetter("no"), now: 10_100)
        #expect(flow.settleAll(now: 10_110).count == 3)
        #expect(flow.nextJob(now: at(15_000)) == nil)
        #expect(flow.snapshot(now: at(15_000)).unsettled == 0)
    }

    /// A queue is upgraded while messages run: their fences travel together with those of messages claimed since.
    @Test func `one whose fence lives on is repeated in the company of others, too`() {
        let leases = [Self.lease(1, outlivesDelay: false), Self.lease(2)]
        var flow = Self.running(leases)
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        for worker in 0...1 { flow.end(worker, .failed("no"), now: 10_100) }
        let job = flow.nextJob(now: at(10_100))
        #expect(job?.settlements.map(\.fence.messageID) == [1, 2])
        // The renewal's answer was the first to come; which came first to the server nobody knows.
        let renewals = Renewals(results: [.renewed, .renewed], sent: at(10_000))
        #expect(flow.renewed(renewals, leases, now: 10_105) == [])
        flow.answer(job, now: 10_110)
        #expect(flow.nextJob(now: at(15_000))?.settlements.map(\.fence.messageID) == [2])
    }

    /// A stop waits for it, and not for longer.
    @Test func `a stop ends when the second writing is settled`() {
        let lease = Self.lease()
        var flow = Self.running([lease])
        #expect(flow.nextRenewal(now: at(10_000)) != nil)
        flow.stop(until: at(10_100), allowance: .seconds(5), now: at(10_100))
        #expect(flow.tick(now: at(10_100)) == [0])
        flow.end(0, .failed("cancelled"), now: 10_110)
        flow.answer(flow.nextJob(now: at(10_110)), now: 10_120)
        #expect(!flow.isFinished)
        let again = flow.nextJob(now: at(15_000))
        #expect(again == .settle(settlement(lease, .released(after: .zero))))
        flow.answer(again, now: 15_010)
        #expect(flow.isFinished)
        #expect(flow.counters.released == 1)
    }
}
