import Engine
import Testing

/// Outcomes that the database refuses, or does not let go: one message's own fault, or everybody's.
@Suite struct CommonCauseTests {
    private static let refusal = QueueFailure.rejected("no outcome")

    /// Sends what is due until then, in steps of 50 ms, and fails all that has one of the bad.
    ///
    /// - Returns: what was sent, each as the messages' ids.
    private static func play(
        _ flow: inout Flow,
        from begin: Double,
        until end: Double,
        _ failure: QueueFailure = refusal,
        refusing isBad: (Int64) -> Bool
    ) -> [[Int64]] {
        var sent: [[Int64]] = []
        var now = begin
        while now < end {
            while let job = flow.nextJob(now: at(now)) {
                let ids = job.settlements.map(\.fence.messageID)
                if !ids.isEmpty { sent.append(ids) }
                if ids.contains(where: isBad) { flow.fail(job, failure, now: now) } else { flow.answer(job, now: now) }
                guard job.exchange != nil else { break }
            }
            now += 50
        }
        return sent
    }

    @Test(arguments: [refusal, .refused("no such table")])
    func whatNothingPassesOfIsHeldTogetherAndTriedOneByOne(failure: QueueFailure) {
        var (flow, _) = SettlingTests.done(200)
        let first = Self.play(&flow, from: 1, until: 2000, failure) { _ in true }
        #expect(first.count < 150, "halved until three have failed alone")
        #expect(flow.snapshot(now: at(2000)).paused == failure.reason)
        let told = flow.takeNews()?.troubles ?? []
        #expect(told.count <= 2)

        let probes = Self.play(&flow, from: 2000, until: 60_000, failure) { _ in true }
        #expect((4...70).contains(probes.count), "\(probes.count)")
        #expect(probes.filter { $0.count == 1 }.count == probes.count, "no batch shows more than one of it does")
        #expect(Set(probes).count == min(probes.count, 200), "another each time")
        #expect(flow.takeNews() == nil)
        #expect(flow.snapshot(now: at(60_000)).unsettled == 200)

        // What was sent alone at the beginning may be waiting for half a minute.
        let rest = Self.play(&flow, from: 60_000, until: 100_000) { _ in false }
        #expect(flow.counters.done == 200)
        #expect(rest.count <= 6)
        #expect(flow.snapshot(now: at(100_000)).paused == nil)
    }

    @Test func severalThatAreRefusedAmongOthersAreTheirOwnFault() {
        var (flow, _) = SettlingTests.done(500)
        let bad: Set<Int64> = [17, 117, 317, 318]
        _ = Self.play(&flow, from: 1, until: 5000, refusing: bad.contains)
        #expect(flow.counters.done == 496)
        #expect(flow.snapshot(now: at(5000)).paused == nil)
        #expect(Set(flow.takeNews()?.troubles.map(\.messageID) ?? []) == bad)
        _ = Self.play(&flow, from: 5000, until: 60_000) { _ in false }
        #expect(flow.counters.done == 500)
    }

    /// The encoding of the database does not know a character of each reason.
    @Test func reasonsInTheWrongEncodingAreEachTheirOwnFault() {
        var flow = Flow(policy(workers: 20))
        flow.receive((0..<20).map { lease($0) }, now: 0)
        for worker in 0..<20 {
            _ = flow.begin(worker, now: 0)
            flow.end(worker, .deadLetter("“no”"), now: 1)
        }
        var now = 1.0
        var pauses: Set<String> = []
        while flow.counters.deadLettered < 20, now < 5000 {
            let job = flow.nextJob(now: at(now))
            let isTaken = job?.settlements.allSatisfy { $0.outcome == .deadLetter(reason: "?no?") } ?? true
            if isTaken { flow.answer(job, now: now) } else { flow.fail(job, Self.refusal, now: now) }
            if let pause = flow.snapshot(now: at(now)).paused { pauses.insert(pause) }
            now += 10
        }
        #expect(pauses == [])
        #expect(flow.counters.deadLettered == 20)
        #expect(flow.takeNews()?.troubles == [])
    }

    /// The only message there is tells nothing of others.
    @Test func oneAloneIsNoCommonCause() {
        var (flow, _) = SettlingTests.done(1)
        _ = Self.play(&flow, from: 1, until: 20_000) { _ in true }
        #expect(flow.snapshot(now: at(20_000)).paused == nil)
        #expect(Set(flow.takeNews()?.troubles.map(\.messageID) ?? []) == [0])
    }

    /// No lease is lost: a trigger or a policy swallows the statement.
    @Test func whatTheDatabaseKeepsIsHeldAndSentAgain() {
        var (flow, leases) = SettlingTests.done(3)
        let fences = Set(leases.map(\.fence))
        let job = flow.nextJob(now: at(1))
        guard let exchange = job?.exchange else { return #expect(job != nil) }
        let kept = ExchangeResult(refused: fences, kept: fences, clock: clock(2), sent: at(1))
        flow.completed(exchange, kept, now: at(2))
        #expect(flow.snapshot(now: at(2)).paused?.hasPrefix("settlements change no row") == true)
        #expect(flow.counters.lost == 0)
        #expect(flow.takeNews() == nil)
        let renewal = flow.nextRenewal(now: at(3))
        #expect(renewal.map { Set($0.fences) } == fences, "the messages would run again")
        let renewed = Renewals(results: [.renewed, .renewed, .renewed], sent: at(3))
        #expect(flow.renewed(renewal?.fences ?? [], renewed, now: at(4)) == [])

        flow.hint(.notified, now: at(4))
        #expect(flow.nextJob(now: at(4)) == nil, "nothing is claimed that would be kept, too")
        let again = flow.nextJob(now: at(1500))
        #expect(again.map { Set($0.settlements.map(\.fence)) } == fences)
        flow.answer(again, now: 1501)
        #expect(flow.counters.done == 3)
        #expect(flow.snapshot(now: at(1501)).paused == nil)
        flow.hint(.notified, now: at(1502))
        #expect(flow.nextJob(now: at(1502))?.claim != nil)
    }

    /// Of a batch some are kept, and one is another's by now.
    @Test func whatIsKeptIsToldFromWhatIsLost() {
        var (flow, leases) = SettlingTests.done(3)
        let job = flow.nextJob(now: at(1))
        guard let exchange = job?.exchange else { return #expect(job != nil) }
        let result = ExchangeResult(
            refused: [leases[0].fence, leases[1].fence],
            kept: [leases[0].fence],
            clock: clock(2),
            sent: at(1)
        )
        flow.completed(exchange, result, now: at(2))
        #expect(flow.counters.done == 1)
        #expect(flow.counters.lost == 1)
        let news = flow.takeNews()
        #expect(news?.lost == [1])
        #expect(news?.troubles.map(\.messageID) == [0], "its own fault, because another was let go")
        #expect(flow.snapshot(now: at(3)).paused == nil)
        #expect(flow.nextRenewal(now: at(3))?.fences == [leases[0].fence], "it would run again")
        flow.hint(.notified, now: at(4))
        #expect(flow.nextJob(now: at(4))?.claim != nil, "the others go on")
        #expect(flow.nextJob(now: at(10_100))?.settlements.map(\.fence) == [leases[0].fence])
    }
}
