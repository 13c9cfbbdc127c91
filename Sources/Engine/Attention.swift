/// Whether a queue's loop claims, dozes or sleeps, and what wakes it.
///
/// | state | what happens | leaves when |
/// | --- | --- | --- |
/// | awake | claims as places come free | a claim was not full |
/// | drowsy | claims again after 1 to 20 ms, 50 ms in all | something was found, or nothing was |
/// | registering | producers are being asked to ring | the answer came |
/// | lastLook | one claim without a floor | it came back |
/// | asleep | looks at 25 ms, 50 ms, 300 ms, 1 s, 3 s, then at the safety interval, and when the next `vt` is due | woken |
///
/// A hint that comes during a claim is remembered: the claim may have looked just before it.
struct Attention: Sendable {
    enum State: Sendable, Equatable {
        case awake
        case drowsy(step: Int, next: Instant)
        case registering(sent: Bool)
        case lastLook
        case asleep(step: Int, next: Instant)
    }

    enum Step: Equatable {
        case claim
        case sweep
        case claimAll
        case register
        case unregister
        case probe
        case watch
        case rest(until: Instant?)
    }

    static let dozes: [Duration] = [1, 2, 4, 8, 15, 20].map { .milliseconds($0) }
    static let looks: [Duration] = [25, 50, 300, 1000, 3000].map { .milliseconds($0) }
    /// A visible message that another client holds locked is looked at after 25, 50, 100, 200 and 400 ms. After that its
    /// lock is waited for.
    static let mostFutileSteps = 4
    /// A wait that was shorter has not waited.
    private static let leastWait: Duration = .milliseconds(100)
    /// After a wait for a lock that could not begin, the daemon peeks for this long before it tries to wait again.
    private static let withoutWatch: Duration = .seconds(10)
    /// Ringing goes on this long into a busy time, so that single messages cost no locking and unlocking each.
    static let ringsFor: Duration = .milliseconds(20)
    /// PGMQ's trigger is silent for 250 ms, by default, after each sound.
    static let throttle: Duration = .milliseconds(300)

    private(set) var state = State.awake
    private(set) var isListening = false
    private(set) var isRegistered = false
    private var isHinted = false
    /// The claim in flight is the first after a hint: finding nothing, it is followed by a sweep.
    private var servesHint = false
    private var wantsSweep = false
    private var claimsInFlight = 0
    private var probing = false
    private var unregistering = false
    /// When the first message since the last sleep was found.
    private var busySince: Instant?
    /// When the server said that the next message becomes visible.
    private var due: Instant?
    /// When one that we put off ourselves does. Kept apart: a look that was under way at that time knows nothing of it.
    private var ownDue: Instant?
    private var followUp: Instant?
    private var mayLookAgain: Instant?
    /// When the last look was sent.
    private var lookedAt: Instant?
    private var writerLooks = 0
    /// The last peek saw a visible message.
    private var sawVisible = false
    /// Claims of everything that brought nothing although a peek had seen a visible message: somebody holds it locked.
    private var futileLooks = 0
    private var watching = false
    /// How long the last wait for a lock took; zero: there was none before this look.
    private var watchedFor: Duration = .zero
    private var noWatchBefore: Instant?

    /// Whether the last claim of everything left a message in sight, so that it is time to ask which.
    private(set) var isFutile = false

    /// Producers ring for who sleeps.
    var isRung: Bool { isListening && isRegistered }

    var isAsleep: Bool {
        if case .asleep = state { true } else { false }
    }

    /// The looks of the safety interval are shared with other queues. The closer ones after falling asleep are not: a
    /// look walks through what vacuum could not remove, and of many queues each would do so for all.
    var looksBesides: Bool {
        if case .asleep(let step, _) = state { step == Self.looks.count } else { false }
    }

    // MARK: - What to do

    /// - Parameter riding: a settlement goes out anyway, and a claim may ride along.
    mutating func step(now: Instant, interval: Duration, riding: Bool = false) -> Step {
        if let followUp, followUp <= now {
            self.followUp = nil
            hint(now: now)
        }
        switch state {
        case .awake, .drowsy(step: 0, _):
            if isRegistered, !unregistering, !riding, let busySince, now - busySince > Self.ringsFor {
                return .unregister
            }
        default:
            break
        }
        switch state {
        case .awake:
            if claimsInFlight > 0, isHinted || wantsSweep { return .rest(until: nil) }
            return wantsSweep ? .sweep : .claim
        case .drowsy(_, let next):
            guard claimsInFlight == 0 else { return .rest(until: nil) }
            if riding || next <= now { return .claim }
            return .rest(until: earliest(next, followUp))
        case .registering(let sent):
            return sent || claimsInFlight > 0 ? .rest(until: nil) : .register
        case .lastLook:
            return claimsInFlight > 0 ? .rest(until: nil) : .claimAll
        case .asleep(_, let next):
            let due = earliest(due, ownDue)
            if let due, due <= now {
                if self.due.map({ $0 <= now }) ?? false { self.due = nil }
                if ownDue.map({ $0 <= now }) ?? false { ownDue = nil }
                hint(now: now)
                return .claim
            }
            guard !probing, !watching else { return .rest(until: earliest(due, followUp)) }
            if next <= now { return waitsForLock(now: now) ? .watch : .probe }
            return .rest(until: earliest(next, earliest(due, followUp)))
        }
    }

    private func waitsForLock(now: Instant) -> Bool {
        futileLooks > Self.mostFutileSteps && (noWatchBefore.map { $0 <= now } ?? true)
    }

    mutating func began(_ step: Step, now: Instant) {
        if step == .claimAll { lookedAt = now }
        switch step {
        case .claim, .claimAll:
            claimsInFlight += 1
            servesHint = isHinted
            isHinted = false
        case .sweep:
            claimsInFlight += 1
            wantsSweep = false
        case .register:
            state = .registering(sent: true)
        case .unregister:
            unregistering = true
        case .probe:
            probing = true
        case .watch:
            watching = true
        case .rest:
            break
        }
    }

    // MARK: - What happened

    mutating func hint(now: Instant) {
        isHinted = true
        futileLooks = 0
        switch state {
        case .awake:
            break
        case .registering(sent: true):
            // The answer is still to come; it finds the hint.
            break
        case .drowsy, .registering(sent: false), .lastLook, .asleep:
            state = .awake
        }
    }

    mutating func notifiedThroughThrottle(now: Instant) {
        followUp = now + Self.throttle
        hint(now: now)
    }

    /// A message of ours becomes visible again then. Nobody rings for it, and the looks may be far apart.
    mutating func putOff(until time: Instant) {
        guard isAsleep else { return }
        ownDue = earliest(ownDue, time)
    }

    mutating func listening(_ heard: Bool, now: Instant) {
        isListening = heard
        isRegistered = false
        hint(now: now)
    }

    mutating func reconnected(now: Instant) {
        due = nil
        mayLookAgain = nil
        hint(now: now)
    }

    /// - Parameter found: messages the claim brought; nil if it failed.
    mutating func claimed(_ found: Int?, of limit: Int, reach: Claim.Reach, took: Duration, now: Instant) {
        claimsInFlight -= 1
        if case .all = reach {
            // One that failed took its time, too.
            let took = max(took, lookedAt.map { now - $0 } ?? .zero)
            lookedAt = nil
            mayLookAgain = now + took * Floor.share
        }
        guard let found else { return state = .awake }
        isFutile = false
        if found > 0 { futileLooks = 0 }
        if found == limit {
            if busySince == nil { busySince = now }
            state = .awake
            return
        }
        if isHinted {
            state = .awake
            return
        }
        if found > 0 {
            if busySince == nil { busySince = now }
            state = .drowsy(step: 0, next: now + Self.dozes[0])
            return
        }
        if servesHint {
            servesHint = false
            wantsSweep = true
            state = .awake
            return
        }
        switch state {
        case .awake:
            state = .drowsy(step: 0, next: now + Self.dozes[0])
        case .drowsy(_, let next) where now < next:
            // It rode along with a settlement, before its time: many of these in a row are no time at all.
            break
        case .drowsy(let step, _) where step + 1 < Self.dozes.count:
            state = .drowsy(step: step + 1, next: now + Self.dozes[step + 1])
        case .drowsy(let step, _):
            if let mayLookAgain, now < mayLookAgain {
                state = .drowsy(step: step, next: now + Self.dozes[step])
            } else {
                state = isListening && !isRegistered ? .registering(sent: false) : .lastLook
            }
        case .lastLook:
            busySince = nil
            if sawVisible { futileLooks += 1 }
            // Rarely: a lock is what it is nearly always.
            isFutile = sawVisible && futileLooks % 64 == 2
            sawVisible = false
            let delay = Self.looks[0] * (1 << min(futileLooks, Self.mostFutileSteps))
            state = .asleep(step: 0, next: watchedFor >= Self.leastWait ? now : now + delay)
            watchedFor = .zero
        case .registering, .asleep:
            break
        }
    }

    /// - Parameter heard: producers will ring; nil: it could not be asked, and the queue is polled as if they did not.
    mutating func registered(_ heard: Bool?, now: Instant) {
        isRegistered = heard ?? false
        if heard == false { isListening = false }
        guard case .registering = state else { return }
        state = .lastLook
        if isHinted { state = .awake }
    }

    mutating func unregistered() {
        unregistering = false
        isRegistered = false
        busySince = nil
        switch state {
        case .lastLook, .asleep:
            // It fell asleep in the belief that producers ring.
            if isListening { state = .registering(sent: false) }
        case .awake, .drowsy, .registering:
            break
        }
    }

    /// - Parameter watched: nil if nobody could wait.
    mutating func watched(_ watched: Watched?, took: Duration, now: Instant) {
        watching = false
        guard case .asleep = state else { return }
        switch watched {
        case .free, .stillLocked:
            // Others may have become visible meanwhile.
            sawVisible = true
            watchedFor = took
            state = .lastLook
        case .nothing:
            futileLooks = 0
            state = .asleep(step: 0, next: now)
        case nil:
            noWatchBefore = now + Self.withoutWatch
            state = .asleep(step: 0, next: now)
        }
    }

    /// Seen by another queue's probe: counts for one of the safety looks, not for the closer ones after falling asleep.
    mutating func probedAlong(_ probe: Probe, interval: Duration, now: Instant) {
        guard !probing, case .asleep(let step, _) = state, step == Self.looks.count else { return }
        probed(probe, interval: interval, now: now)
    }

    /// - Parameter probe: nil if it failed.
    /// - Parameter interval: the safety interval, jittered.
    mutating func probed(_ probe: Probe?, interval: Duration, now: Instant) {
        probing = false
        guard case .asleep(let step, _) = state else { return }
        guard let probe else {
            state = .asleep(step: step, next: now + min(interval, .seconds(1)))
            return
        }
        due = probe.nextDue.map { now + $0 }
        sawVisible = probe.hasVisible
        if probe.hasVisible {
            state = .lastLook
            return
        }
        futileLooks = 0
        // Asking for the doorbell had failed. Until producers ring, the queue is polled, and asks again.
        if isListening, !isRegistered, step == Self.looks.count {
            state = .registering(sent: false)
            return
        }
        if probe.hasWriters {
            writerLooks += 1
            let delay = Duration.milliseconds(min(250, 20 + 5 * writerLooks))
            state = .asleep(step: min(step, 1), next: now + delay)
            return
        }
        writerLooks = 0
        let following = step + 1
        let delay = following < Self.looks.count ? min(Self.looks[following], interval) : interval
        state = .asleep(step: min(following, Self.looks.count), next: now + delay)
    }
}

package func earliest(_ a: Instant?, _ b: Instant?) -> Instant? {
    guard let a else { return b }
    guard let b else { return a }
    return min(a, b)
}
