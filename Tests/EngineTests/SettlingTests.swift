import Engine
import Testing

/// How outcomes travel, and what becomes of those that cannot be written.
@Suite struct SettlingTests {
    /// Runs these to success, so that their settlements are next.
    static func done(_ count: Int) -> (flow: Flow, leases: [Lease]) {
        var flow = Flow(policy(workers: count))
        let leases = (0..<count).map { lease(Int64($0)) }
        flow.receive(leases, now: 0)
        for worker in 0..<count {
            _ = flow.begin(worker, now: 0)
            flow.end(worker, .done, now: 1)
        }
        return (flow, leases)
    }

    @Test func doneTravelsApart() {
        var flow = Flow(policy(workers: 3))
        let leases = (1...3).map { lease(Int64($0)) }
        flow.receive(leases, now: 0)
        for worker in 0..<3 { #expect(flow.begin(worker, now: 0) == Int64(worker + 1)) }
        flow.quiet()
        flow.end(0, .snooze(.seconds(1)), now: 1)
        flow.end(1, .done, now: 1)
        flow.end(2, .done, now: 1)
        #expect(flow.nextJob(now: at(1)) == .settle(settlement(leases[1], .done), settlement(leases[2], .done)))
        #expect(flow.nextJob(now: at(1)) == .settle(settlement(leases[0], .snooze(.seconds(1)))))
        #expect(flow.nextJob(now: at(1)) == nil)
    }

    /// In a flood there is always something done; the leases of the others would end meanwhile.
    @Test func othersAreNotPassedOverForEver() {
        var flow = Flow(policy(workers: 8))
        flow.receive((0..<8).map { lease(Int64($0)) }, now: 0)
        for worker in 0..<8 { _ = flow.begin(worker, now: 0) }
        flow.quiet()
        flow.end(0, .snooze(.seconds(1)), now: 1)
        let settled = (1..<8).map { worker in
            flow.end(worker, .done, now: 1)
            return flow.nextJob(now: at(1))?.settlements.map(\.fence.messageID)
        }
        #expect(settled == [[1], [2], [3], [4], [0], [5, 6], [7]])
    }

    @Test func aBatchHasAnEnd() {
        var (flow, _) = Self.done(500)
        flow.receive([], now: 1)
        var few = flow.policy
        few.batchLimit = 10
        var bounded = Flow(few)
        bounded.receive((0..<10).map { lease(Int64($0)) }, now: 0)
        #expect(flow.snapshot(now: at(1)).unsettled == 0)
        #expect(bounded.snapshot(now: at(1)).waiting == 10)
    }

    /// What happened is unknown: the same again at once, alone, and before anything is claimed.
    @Test func whatIsUnknownGoesAgainAlone() {
        var (flow, leases) = Self.done(2)
        let job = flow.nextJob(now: at(1))
        #expect(job?.settlements == [settlement(leases[0], .done), settlement(leases[1], .done)])
        flow.fail(job, .unavailable("gone"), now: 2)
        let again = flow.nextJob(now: at(2))
        #expect(again == .settle(settlement(leases[0], .done).again, settlement(leases[1], .done).again))
        #expect(flow.nextJob(now: at(2))?.claim == nil)
        // Refused now: it had gone through.
        flow.answer(again, refused: [leases[0].fence], now: 3)
        #expect(flow.counters.done == 2)
        #expect(flow.counters.lost == 0)
    }

    @Test func noClaimBeforeAFailedSettlementWasRepeated() {
        var (flow, leases) = Self.done(1)
        let job = flow.nextJob(now: at(1))
        flow.fail(job, .busy("deadlock", smaller: false), now: 2)
        flow.hint(.notified, now: at(3))
        #expect(flow.nextJob(now: at(3)) == nil, "it waits a little first")
        let again = flow.nextJob(now: at(60))
        #expect(again == .settle(settlement(leases[0], .done)))
        #expect(flow.nextJob(now: at(60)) == nil)
        flow.answer(again, now: 61)
        #expect(flow.nextJob(now: at(61))?.claim != nil)
    }

    /// The one is found, and holds none of the others back.
    @Test func oneBadOutcomeOfFiveHundred() {
        var (flow, leases) = Self.done(500)
        let bad = leases[317].fence
        var sent = 0
        var now = 1.0
        while flow.counters.done < 499, sent < 100 {
            guard let job = flow.nextJob(now: at(now)), !job.settlements.isEmpty else { break }
            #expect(job.claim == nil || sent == 0)
            sent += 1
            now += 1
            if job.settlements.contains(where: { $0.fence == bad }) {
                flow.fail(job, .rejected("out of range"), now: now)
            } else {
                flow.answer(job, now: now)
            }
        }
        #expect(flow.counters.done == 499)
        #expect(sent <= 20, "nine halvings, each sent once more")
        #expect(flow.takeNews()?.troubles.map(\.messageID) == [317])
        // It is tried again, slowly and for ever; being its own fault, it does not keep the queue from claiming.
        #expect(flow.nextJob(now: at(now + 10))?.claim != nil)
        #expect(flow.nextJob(now: at(now + 60_000))?.settlements.map(\.fence) == [bad])
    }

    /// Its archive has the id already: it is done, and must not come back to be done again for ever.
    @Test func aDoneMessageThatIsRejectedAgainAndAgainIsDeadLettered() {
        var (flow, leases) = Self.done(1)
        var now = 1.0
        var conflicts = 0
        // While the lease of 30 s lasts, of which a third may be over.
        while now < 20_000 {
            let job = flow.nextJob(now: at(now))
            if job?.settlements.map(\.outcome) == [.done] {
                // In company of a claim it may have been the claim.
                if job?.claim == nil { conflicts += 1 }
                flow.fail(job, .conflict("duplicate key"), now: now)
            } else if let settlement = job?.settlements.first {
                #expect(settlement.fence == leases[0].fence)
                #expect(settlement.outcome == .deadLetter(reason: "done, but not settled: duplicate key"))
                break
            }
            now += 100
        }
        #expect(conflicts == 5)
        #expect(now < 20_000)
    }

    /// Nothing could be written of what would be claimed now.
    @Test func exhaustionOfSettlementsAloneClaimsNothingUntilTheyGoThrough() {
        var (flow, _) = Self.done(400)
        var now = 1.0
        var probes: Int64 = 0
        while now < 120_000 {
            flow.hint(.notified, now: at(now))
            if let job = flow.nextJob(now: at(now)) {
                if job.settlements.isEmpty {
                    // Now and then one message, which shows whether its outcome can be written.
                    #expect(job.claim?.limit == 1)
                    probes += 1
                    flow.answer(job, [lease(1000 + probes)], now: now)
                    _ = flow.begin(0, now: now)
                    flow.end(0, .done, now: now)
                } else {
                    flow.fail(job, .exhausted("disk full"), now: now)
                }
            }
            now += 50
        }
        #expect(probes < 20)
        #expect(flow.snapshot(now: at(now)).unsettled == 400 + Int(probes), "nothing is given up")
        while flow.counters.done < 400 + Int(probes), now < 240_000 {
            now += 50
            flow.answer(flow.nextJob(now: at(now)), now: now)
        }
        #expect(flow.counters.done == 400 + Int(probes))
        now += 60_000
        flow.hint(.notified, now: at(now))
        #expect(flow.nextJob(now: at(now))?.claim != nil)
    }

    /// A limit that only one outcome meets: the memory that a huge one takes, for one.
    @Test(arguments: [1, 300]) func oneThatThereIsNoRoomForHoldsNobodyBack(count: Int) {
        var (flow, leases) = Self.done(count)
        let bad = leases[count / 2].fence
        var now = 1.0
        var fresh: Int64 = 0
        while now < 120_000 {
            flow.hint(.notified, now: at(now))
            if let job = flow.nextJob(now: at(now)) {
                if job.settlements.contains(where: { $0.fence == bad }) {
                    flow.fail(job, .exhausted("out of memory"), now: now)
                } else {
                    fresh += job.claim == nil ? 0 : 1
                    flow.answer(job, job.claim == nil ? [] : [lease(1000 + fresh)], now: now)
                    if job.claim != nil, flow.begin(0, now: now) != nil { flow.end(0, .done, now: now) }
                }
            }
            now += 50
        }
        #expect(flow.snapshot(now: at(now)).unsettled <= 2)
        #expect(flow.counters.done >= count - 1 + 500, "the queue is worked beside it")
        #expect(Set(flow.takeNews()?.troubles.map(\.messageID) ?? []) == [bad.messageID])
    }

    @Test func aTimeoutTriesWithLess() {
        var (flow, _) = Self.done(4)
        flow.fail(flow.nextJob(now: at(1)), .busy("timeout", smaller: true), now: 2)
        #expect(flow.nextJob(now: at(60))?.settlements.count == 2)
        #expect(flow.nextJob(now: at(60))?.settlements.count == 2)
    }

    /// The decision is kept; the message comes back in a minute, and does not run.
    @Test func aDeadLetterThatCannotBeWrittenIsCondemned() {
        var flow = Flow(policy(workers: 1))
        let message = lease(1)
        flow.receive([message], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .deadLetter("hopeless"), now: 1)
        let job = flow.nextJob(now: at(1))
        #expect(job?.settlements.first?.outcome == .deadLetter(reason: "hopeless"))
        flow.fail(job, .refused("no such queue"), now: 2)
        let condemned = flow.nextJob(now: at(2))
        #expect(condemned?.settlements.first?.outcome == .condemned(reason: "hopeless", after: .seconds(1)))
        #expect(condemned?.settlements.first?.attempt?.number == 1, "the attempt is recorded with it")
        flow.answer(condemned, now: 3)
        #expect(flow.counters.deadLettered == 0)

        let back = lease(1, readCount: 2, History(attempts: 1, condemned: "hopeless"))
        flow.receive([back], now: 4)
        #expect(flow.begin(0, now: 4) == nil)
        #expect(flow.nextJob(now: at(4)) == .settle(settlement(back, .deadLetter(reason: "hopeless"))))
    }

    @Test func whatTheFenceRefusesIsLost() {
        var flow = Flow(policy(workers: 1))
        let message = lease(1, readCount: 2)
        flow.receive([message], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        flow.answer(flow.nextJob(now: at(1)), refused: [message.fence], now: 2)
        #expect(flow.counters.done == 0)
        #expect(flow.counters.lost == 1)
        #expect(flow.takeNews()?.lost == [1])
        #expect(flow.nextJob(now: at(2)) == .settle(lost: [message.delivery]), "its journal row is closed")
    }

    /// A server that refuses to close a row must not be asked ten thousand times a second.
    @Test func lossesThatCannotBeWrittenWait() {
        var flow = Flow(policy(workers: 1))
        let message = lease(1, readCount: 2)
        flow.receive([message], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.end(0, .done, now: 1)
        flow.answer(flow.nextJob(now: at(1)), refused: [message.fence], now: 2)
        flow.quiet()
        let job = flow.nextJob(now: at(2))
        #expect(job == .settle(lost: [message.delivery]))
        flow.fail(job, .refused("no journal"), now: 3)
        #expect(flow.nextJob(now: at(3)) == nil)
        #expect(flow.nextAlarm().map { $0 > at(3) } == true)
        #expect(flow.nextJob(now: at(300)) == .settle(lost: [message.delivery]))
    }

    /// A full disk stops claiming, not settling.
    @Test func exhaustionClaimsNothingForAWhile() {
        var flow = Flow(policy(workers: 2))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        flow.fail(flow.nextJob(now: at(2)), .exhausted("disk full"), now: 3)
        flow.end(0, .done, now: 4)
        let job = flow.nextJob(now: at(4))
        #expect(job == .settle(settlement(lease(1), .done)))
        flow.answer(job, now: 5)
        #expect(flow.nextJob(now: at(500)) == nil)
        #expect(flow.nextJob(now: at(1300))?.claim != nil)
    }
}
