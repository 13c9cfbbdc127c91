import Engine
import Testing

/// From every way a run can end to the outcome it is settled with.
@Suite struct OutcomeTests {
    static func settled(_ verdict: Verdict, _ history: History = .none, took: Double = 5) -> Settlement? {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1, readCount: 3, history)], now: 0)
        guard flow.begin(0, now: 0) == 1 else { return nil }
        flow.end(0, verdict, now: took)
        return flow.settleAll(now: took).first
    }

    static func attempt(_ number: Int, _ kind: Attempt.Kind, _ took: Double, _ reason: String) -> Attempt {
        Attempt(number: number, kind: kind, duration: .milliseconds(took), reason: reason)
    }

    @Test(arguments: [
        (Verdict.done, Outcome.done),
        (.snooze(.seconds(9)), .snooze(.seconds(9))),
        (.notStarted("no such file"), .released(after: .seconds(5))),
    ])
    func spendsNoAttempt(verdict: Verdict, outcome: Outcome) {
        #expect(Self.settled(verdict) == settlement(lease(1, readCount: 3), outcome))
    }

    @Test func aFailureIsTriedAgainLater() {
        let expected = settlement(
            lease(1, readCount: 3),
            .retry(after: .seconds(4), reason: "no"),
            Self.attempt(2, .failed, 5, "no")
        )
        #expect(Self.settled(.failed("no"), History(attempts: 1)) == expected)
    }

    @Test func theHandlerMaySayWhen() {
        let settled = Self.settled(.retry(after: .seconds(77), reason: "busy"))
        #expect(settled?.outcome == .retry(after: .seconds(77), reason: "busy"))
        #expect(settled?.attempt?.number == 1)
    }

    @Test(arguments: [Verdict.failed("no"), .retry(after: .zero, reason: "no"), .deadLetter("no")])
    func theLastAttemptIsTheEnd(verdict: Verdict) {
        let settled = Self.settled(verdict, History(attempts: 2))
        #expect(settled?.outcome == .deadLetter(reason: "no"))
        #expect(settled?.attempt == Self.attempt(3, .failed, 5, "no"))
    }

    @Test func moreAttemptsThanAllowedNeverRun() {
        var flow = Flow(policy(workers: 1))
        let spent = lease(1, readCount: 9, History(attempts: 3, lastReason: "no"))
        flow.receive([spent], now: 0)
        #expect(flow.begin(0, now: 0) == nil)
        #expect(flow.nextJob(now: at(0)) == .settle(settlement(spent, .deadLetter(reason: "no"))))
    }

    @Test func whatWasNotFetchedNeverRuns() {
        var flow = Flow(policy(workers: 1))
        let large = lease(1, size: 2 << 20, isOversized: true)
        flow.receive([large], now: 0)
        #expect(flow.begin(0, now: 0) == nil)
        let reason = "too_large: 2097152 bytes, the limit is 1048576"
        #expect(flow.nextJob(now: at(0)) == .settle(settlement(large, .deadLetter(reason: reason))))
    }

    // MARK: - Cancelled

    /// One run, past its deadline and cancelled.
    static func overdue(_ verdict: Verdict) -> Settlement? {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        guard flow.begin(0, now: 0) == 1 else { return nil }
        for minute in 1...29 {
            let now = Double(minute) * 10_000
            guard let fences = flow.nextRenewal(now: at(now))?.fences else { continue }
            _ = flow.renewed(fences, Renewals(results: [.renewed], sent: at(now)), now: at(now))
            #expect(flow.tick(now: at(now)) == [])
        }
        #expect(flow.tick(now: at(300_000)) == [0])
        #expect(flow.tick(now: at(300_000)) == [], "cancelled once")
        #expect(flow.finished(worker: 0, verdict: verdict, now: at(300_001)) == .deadline)
        return flow.settleAll(now: 300_001).first
    }

    @Test func aDeadlineIsAnAttempt() {
        let settled = Self.overdue(.failed("cancelled"))
        let reason = "timed out after 300.0 seconds: cancelled"
        #expect(settled?.outcome == .retry(after: .seconds(2), reason: reason))
        #expect(settled?.attempt == Self.attempt(1, .timedOut, 300_001, reason))
    }

    @Test func successAfterTheDeadlineCounts() {
        #expect(Self.overdue(.done)?.outcome == .done)
    }

    @Test(arguments: [Verdict.failed("cancelled"), .retry(after: .zero, reason: "no"), .deadLetter("no")])
    func aShutdownSpendsNothing(verdict: Verdict) {
        var flow = Flow(policy(workers: 1))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.stop(until: at(10), allowance: .seconds(5), now: at(1))
        #expect(flow.tick(now: at(9)) == [])
        #expect(flow.tick(now: at(10)) == [0])
        #expect(flow.finished(worker: 0, verdict: verdict, now: at(11)) == .shutdown)
        #expect(flow.settleAll(now: 11) == [settlement(lease(1), .released(after: .zero))])
    }

    @Test func aLostLeaseHasNoOutcome() {
        var flow = Flow(policy(workers: 1))
        let message = lease(1, readCount: 2)
        flow.receive([message], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        #expect(flow.tick(now: at(30_000)) == [0])
        #expect(flow.counters.lost == 1)
        #expect(flow.finished(worker: 0, verdict: .done, now: at(30_001)) == .leaseLost)
        #expect(flow.settleAll(now: 30_001).isEmpty)
        #expect(flow.nextJob(now: at(30_001)) == .settle(lost: [message.delivery]))
    }
}
