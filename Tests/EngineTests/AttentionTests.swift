import Engine
import Testing

/// What wakes a queue's loop, and how it falls asleep.
@Suite struct AttentionTests {
    /// Finds nothing until it sleeps, without LISTEN; at 50 ms.
    static func asleep() -> Flow {
        var flow = Flow(policy())
        for moment in [0.0, 1, 3, 7, 15, 30, 50, 50] { flow.receive([], now: moment) }
        return flow
    }

    @Test func dozesLongerAndLonger() {
        var flow = Flow(policy())
        flow.answer(flow.nextJob(now: at(0)), now: 0)
        for moment in [1.0, 3, 7, 15, 30, 50] {
            #expect(flow.nextJob(now: at(moment - 0.5)) == nil)
            #expect(flow.nextAlarm() == at(moment))
            let claim = flow.nextJob(now: at(moment))
            #expect(claim?.claim?.limit == 2)
            flow.answer(claim, now: moment)
        }
        // The last look, without a floor; then it sleeps, and looks again.
        #expect(flow.nextJob(now: at(50)) == .claim(2, .all))
        flow.answer(.claim(2), now: 50)
        #expect(flow.snapshot(now: at(50)).isAsleep)
        #expect(flow.nextJob(now: at(50)) == nil)
        #expect(flow.nextAlarm() == at(75))
        #expect(flow.nextJob(now: at(75)) == .probe(besides: false, passingOver: []))
    }

    @Test func looksLessAndLessOften() {
        var flow = Self.asleep()
        let nothing = Probe(hasVisible: false, nextDue: nil, hasWriters: false)
        var now = 75.0
        // The safety interval of a deaf queue is a second: no later look comes later.
        for wait in [50.0, 300] {
            #expect(flow.nextJob(now: at(now)) == .probe(besides: false, passingOver: []))
            flow.probed(nothing, now: at(now))
            now += wait
            #expect(flow.nextJob(now: at(now - 1)) == nil)
        }
        #expect(flow.nextJob(now: at(now)) == .probe(besides: false, passingOver: []))
        flow.probed(nothing, now: at(now))
        #expect(flow.nextJob(now: at(now + 880)) == nil)
        #expect(flow.nextJob(now: at(now + 1100)) == .probe(besides: false, passingOver: []))
    }

    @Test func writersAreWaitedFor() {
        var flow = Self.asleep()
        #expect(flow.nextJob(now: at(75)) == .probe(besides: false, passingOver: []))
        flow.probed(Probe(hasVisible: false, nextDue: nil, hasWriters: true), now: at(75))
        #expect(flow.nextJob(now: at(99)) == nil)
        #expect(flow.nextJob(now: at(100)) == .probe(besides: false, passingOver: []))
        flow.probed(Probe(hasVisible: true, nextDue: nil, hasWriters: true), now: at(100))
        #expect(flow.nextJob(now: at(100)) == .claim(2, .all))
    }

    @Test func aFutureMessageWakesWhenItIsDue() {
        var flow = Self.asleep()
        #expect(flow.nextJob(now: at(75)) == .probe(besides: false, passingOver: []))
        flow.probed(Probe(hasVisible: false, nextDue: .milliseconds(20), hasWriters: false), now: at(75))
        #expect(flow.nextJob(now: at(94)) == nil)
        #expect(flow.nextAlarm() == at(95))
        #expect(flow.nextJob(now: at(95))?.claim?.limit == 2)
    }

    @Test(arguments: [Wake.notified, .throttled, .reconnected, .listening(false)])
    func aWakeClaimsAtOnce(wake: Wake) {
        var flow = Self.asleep()
        flow.hint(wake, now: at(60))
        #expect(flow.nextJob(now: at(60))?.claim?.limit == 2)
    }

    @Test func aThrottledWakeIsFollowedUp() {
        var flow = Self.asleep()
        flow.hint(.throttled, now: at(60))
        for moment in [60.0, 60, 61, 63, 67, 75, 90, 110, 110] { flow.receive([], now: moment) }
        #expect(flow.snapshot(now: at(120)).isAsleep)
        let probe = flow.nextJob(now: at(140))
        #expect(probe == .probe(besides: false, passingOver: []))
        flow.probed(Probe(hasVisible: false, nextDue: nil, hasWriters: false), now: at(140))
        #expect(flow.nextJob(now: at(141)) == nil)
        #expect(flow.nextJob(now: at(360)) != nil, "300 ms after the sound")
    }

    /// What vacuum could not remove is walked through by the looks of each queue, and of one for all only seldom.
    @Test func onlyTheSafetyLookIsForOtherQueuesToo() {
        var flow = Self.asleep()
        var besides: [Bool] = []
        for _ in 1...6 {
            #expect(flow.nextJob(now: at(50)) == nil)
            guard let due = flow.nextAlarm(), case .probe(let others, _) = flow.nextJob(now: due) else { break }
            besides.append(others)
            flow.probed(Probe(hasVisible: false, nextDue: nil, hasWriters: false), now: due)
        }
        #expect(besides == [false, false, false, false, false, true])
    }

    /// Nobody rings for a retry that falls due, and the looks are far apart.
    @Test func aRetryThatFallsDueWakes() {
        var flow = Flow(policy())
        flow.hint(.listening(false), now: at(0))
        flow.receive([lease(1)], now: 0)
        #expect(flow.begin(0, now: 0) == 1)
        for moment in [1.0, 2, 4, 8, 16, 31, 51, 51] { flow.receive([], now: moment) }
        #expect(flow.snapshot(now: at(52)).isAsleep)
        // A look is under way when it fails: what it sees of the message is the end of its lease.
        #expect(flow.nextJob(now: at(80)) == .probe(besides: false, passingOver: []))
        flow.end(0, .failed("no"), now: 90)
        #expect(flow.settleAll(now: 90).count == 1)
        flow.probed(Probe(hasVisible: false, nextDue: .seconds(30), hasWriters: false), now: at(91))
        var now = at(91)
        while flow.nextJob(now: now) == nil, let alarm = flow.nextAlarm(), alarm < at(2090) {
            now = alarm
            guard case .probe = flow.nextJob(now: alarm) else { break }
            flow.probed(Probe(hasVisible: false, nextDue: .seconds(30), hasWriters: false), now: alarm)
        }
        #expect(flow.nextJob(now: at(2089)) == nil)
        #expect(flow.nextAlarm() == at(2090))
        #expect(flow.nextJob(now: at(2090))?.claim != nil)
    }

    /// The claim may have looked just before the message came.
    @Test func aWakeDuringAClaimIsRemembered() {
        var flow = Flow(policy())
        let claim = flow.nextJob(now: at(0))
        flow.hint(.notified, now: at(0.5))
        flow.answer(claim, now: 1)
        #expect(flow.nextJob(now: at(1))?.claim?.limit == 2)
    }

    @Test func aWakeThatFindsNothingIsFollowedByASweep() {
        var flow = Flow(policy())
        flow.receive([lease(1, vt: -5000)], now: 0)
        // The sweeps that are due after a start.
        flow.receive([], now: 1)
        flow.hint(.notified, now: at(10))
        #expect(flow.nextJob(now: at(10)) == .claim(1, .floor, floor: clock(-5010)))
        flow.answer(.claim(1, .floor, floor: clock(-5010)), now: 11)
        #expect(flow.nextJob(now: at(11)) == .claim(1, .below(.seconds(1)), floor: clock(-6000)))
    }

    @Test func asksProducersToRingBeforeTheLastLook() {
        var flow = Flow(policy())
        flow.hint(.listening(true), now: at(0))
        for moment in [0.0, 0, 1, 3, 7, 15, 30, 50] { flow.receive([], now: moment) }
        #expect(flow.nextJob(now: at(50)) == .register)
        #expect(flow.nextJob(now: at(51)) == nil)
        flow.registered(true, now: at(52))
        #expect(flow.nextJob(now: at(52)) == .claim(2))
        flow.answer(.claim(2), now: 53)
        #expect(flow.snapshot(now: at(53)).isAsleep)
        // Awake for longer than a moment, it asks for quiet.
        flow.hint(.notified, now: at(60))
        let claim = flow.nextJob(now: at(60))
        flow.answer(claim, [lease(1), lease(2)], now: 61)
        #expect(flow.begin(0, now: 61) == 1)
        #expect(flow.begin(1, now: 61) == 2)
        flow.end(0, .snooze(.seconds(1)), now: 90)
        #expect(flow.nextJob(now: at(90))?.settlements.count == 1)
        #expect(flow.nextJob(now: at(90)) == .unregister)
        flow.unregistered()
        #expect(flow.nextJob(now: at(91))?.claim?.limit == 1)
    }

    /// The answer to its asking for quiet may come when it has fallen asleep again.
    @Test func asksAgainWhereQuietCameTooLate() {
        var flow = Flow(policy())
        flow.hint(.listening(true), now: at(0))
        for moment in [0.0, 0, 1, 3, 7, 15, 30, 50] { flow.receive([], now: moment) }
        #expect(flow.nextJob(now: at(50)) == .register)
        flow.registered(true, now: at(52))
        flow.answer(flow.nextJob(now: at(52)), now: 53)
        flow.hint(.notified, now: at(60))
        flow.answer(flow.nextJob(now: at(60)), [lease(1)], now: 61)
        #expect(flow.begin(0, now: 61) == 1)
        flow.end(0, .done, now: 90)
        flow.answer(flow.nextJob(now: at(90)), [lease(2)], now: 90)
        #expect(flow.nextJob(now: at(90)) == .unregister)
        var now = 91.0
        while now < 1000, !flow.snapshot(now: at(now)).isAsleep {
            if let job = flow.nextJob(now: at(now)) { flow.answer(job, now: now) }
            now += 1
        }
        #expect(flow.snapshot(now: at(now)).isAsleep)
        flow.unregistered()
        #expect(flow.nextJob(now: at(now)) == .register)
    }

    /// A connection went, or a lock was taken: nothing that lasts.
    @Test func `where producers could not be asked to ring the queue is polled, and they are asked again`() {
        var flow = Flow(policy())
        flow.hint(.listening(true), now: at(0))
        for moment in [0.0, 0, 1, 3, 7, 15, 30, 50] { flow.receive([], now: moment) }
        #expect(flow.nextJob(now: at(50)) == .register)
        flow.registered(nil, now: at(52))
        flow.answer(flow.nextJob(now: at(52)), now: 53)
        #expect(flow.snapshot(now: at(53)).isAsleep)
        var waits: [Duration] = []
        var now = at(53)
        while waits.count < 20, flow.nextJob(now: now) == nil, let due = flow.nextAlarm() {
            waits.append(due - now)
            now = due
            guard case .probe = flow.nextJob(now: now) else { break }
            flow.probed(Probe(hasVisible: false, nextDue: nil, hasWriters: false), now: now)
        }
        #expect(waits.count == 6)
        #expect(waits.allSatisfy { $0 <= .milliseconds(1100) }, "no later than a deaf queue")
        #expect(flow.nextJob(now: now) == nil, "asked once")
        flow.registered(true, now: now)
        #expect(flow.nextJob(now: now) == .claim(2))
    }

    /// Another client works it inside a transaction of its own.
    @Test func `a visible message that nobody can claim is looked at more and more rarely, until a hint`() {
        var flow = Self.asleep()
        var now = at(50)
        func look() -> Duration? {
            guard flow.nextJob(now: now) == nil, let due = flow.nextAlarm() else { return nil }
            let wait = due - now
            now = due
            guard case .probe = flow.nextJob(now: now) else { return nil }
            flow.probed(Probe(hasVisible: true, nextDue: nil, hasWriters: false), now: now)
            let claim = flow.nextJob(now: now)
            #expect(claim?.claim?.reach == .all)
            flow.answer(claim, at: now)
            if case .list = flow.nextJob(now: now) { flow.listed(.success([]), now: now) }
            return wait
        }
        var waits: [Duration?] = []
        for _ in 0..<5 { waits.append(look()) }
        #expect(waits == [25, 50, 100, 200, 400].map { .milliseconds($0) })
        // After that its lock is waited for: as long as a call may take, and again.
        #expect(flow.nextJob(now: now) == nil)
        now = flow.nextAlarm() ?? now
        for _ in 0..<3 {
            #expect(flow.nextJob(now: now) == .watch(passingOver: []))
            #expect(flow.nextJob(now: now) == nil)
            now = now + .milliseconds(1000)
            flow.watched(.stillLocked, took: .milliseconds(1000), now: now)
            let claim = flow.nextJob(now: now)
            #expect(claim?.claim?.reach == .all, "others may have come")
            flow.answer(claim, at: now)
        }
        #expect(flow.nextJob(now: now) == .watch(passingOver: []))
        now = now + .milliseconds(300)
        flow.watched(.free, took: .milliseconds(300), now: now)
        let freed = flow.nextJob(now: now)
        #expect(freed?.claim?.reach == .all, "at once")
        flow.answer(freed, at: now)
        // One that is free and is not claimed has not been waited for: the looks grow rarer again.
        #expect(flow.nextJob(now: now) == .watch(passingOver: []))
        flow.watched(.free, took: .zero, now: now)
        flow.answer(flow.nextJob(now: now), at: now)
        #expect(flow.nextJob(now: now) == nil)
        flow.hint(.notified, now: now)
        while !flow.snapshot(now: now).isAsleep {
            if let job = flow.nextJob(now: now) {
                flow.answer(job, at: now)
            } else if let due = flow.nextAlarm() {
                now = due
            } else {
                break
            }
        }
        #expect(look() == .milliseconds(25))
        #expect(look() == .milliseconds(50))
    }

    /// Each doze is a claim, and without a floor it would put the last look off.
    @Test func slowClaimsFallAsleepToo() {
        var flow = Flow(policy())
        var now = 0.0
        while now < 1000, !flow.snapshot(now: at(now)).isAsleep {
            if let job = flow.nextJob(now: at(now)) {
                flow.answer(job, sent: now, now: now + 5)
                now += 5
            } else {
                now += 1
            }
        }
        #expect(now < 200)
    }

    /// Claims that ride are answered every millisecond; they must not put a busy queue to sleep in six of them.
    @Test func aRidingClaimIsNoDoze() {
        var flow = Flow(policy(workers: 8))
        flow.receive((1...8).map { lease($0) }, now: 0)
        for worker in 0..<8 { #expect(flow.begin(worker, now: 0) != nil) }
        for worker in 0..<8 {
            let moment = 1 + Double(worker) / 10
            flow.end(worker, .done, now: moment)
            let job = flow.nextJob(now: at(moment))
            #expect(job?.settlements.count == 1)
            #expect(job?.claim != nil)
            flow.answer(job, now: moment)
        }
        #expect(flow.nextJob(now: at(1.8)) == nil, "it dozes still")
        #expect(flow.nextAlarm().map { $0 < at(5) } == true)
        #expect(!flow.snapshot(now: at(2)).isAsleep)
    }
}
