/// What became of a lease. (Indirect: of nearly all it is `done`, and they are handed on in batches of hundreds.)
public indirect enum Outcome: Sendable, Equatable {
    case done
    case retry(after: Duration, reason: String)
    case deadLetter(reason: String)
    case snooze(Duration)
    /// Not run, or interrupted by shutdown.
    case released(after: Duration)
    /// A dead-letter move that could not be written. The journal remembers it, and the message waits in its queue.
    case condemned(reason: String, after: Duration)
}

extension Outcome {
    /// How long the message stays where it is, out of sight; nil: it is gone, or visible at once.
    var putsOff: Duration? {
        switch self {
        case .done, .deadLetter: nil
        case .retry(let delay, _), .snooze(let delay), .released(let delay), .condemned(_, let delay):
            delay > .zero ? delay : nil
        }
    }
}

/// A failed run, for the journal. Only these spend `max_attempts`.
public struct Attempt: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case failed
        case timedOut = "timed_out"
    }

    /// From 1.
    public var number: Int
    public var kind: Kind
    public var duration: Duration
    public var reason: String

    public init(number: Int, kind: Kind, duration: Duration, reason: String) {
        self.number = number
        self.kind = kind
        self.duration = duration
        self.reason = reason
    }
}

/// An outcome on its way to the database.
public struct Settlement: Sendable, Equatable {
    public let delivery: Delivery
    public var outcome: Outcome
    private var recorded: Recorded?
    /// An earlier transaction that carried it ended unknown: being refused may mean that it had gone through.
    public var mayHaveHappened = false
    /// Where it is looked for first. Refused there, it is settled again by its id: it may have been moved.
    public var place: Place?

    public init(delivery: Delivery, outcome: Outcome, attempt: Attempt? = nil, place: Place? = nil) {
        self.delivery = delivery
        self.outcome = outcome
        self.place = place
        recorded = attempt.map(Recorded.attempt)
    }

    public var attempt: Attempt? {
        if case .attempt(let attempt) = recorded { attempt } else { nil }
    }

    /// Apart, because nearly none has one.
    private indirect enum Recorded: Sendable, Equatable {
        case attempt(Attempt)
    }

    public var fence: Fence { delivery.fence }
}

extension Outcome {
    /// The message stays in its queue.
    var isDelaying: Bool {
        switch self {
        case .done, .deadLetter: false
        case .retry, .snooze, .released, .condemned: true
        }
    }

    fileprivate func delayed(by delay: Duration) -> Outcome {
        switch self {
        case .done, .deadLetter: self
        case .retry(_, let reason): .retry(after: delay, reason: reason)
        case .snooze: .snooze(delay)
        case .released: .released(after: delay)
        case .condemned(let reason, _): .condemned(reason: reason, after: delay)
        }
    }

    fileprivate var inASCII: Outcome {
        switch self {
        case .done, .snooze, .released: self
        case .retry(let delay, let reason): .retry(after: delay, reason: reason.inASCII)
        case .deadLetter(let reason): .deadLetter(reason: reason.inASCII)
        case .condemned(let reason, let delay): .condemned(reason: reason.inASCII, after: delay)
        }
    }
}

extension String {
    /// Every other character is a question mark.
    fileprivate var inASCII: String {
        utf8.allSatisfy { $0 < 0x80 }
            ? self : String(String.UnicodeScalarView(unicodeScalars.map { $0.isASCII ? $0 : "?" }))
    }
}

extension Settlement {
    /// The same, with a delay that is counted from another moment.
    func delayed(by delay: Duration) -> Settlement {
        var settlement = self
        settlement.outcome = outcome.delayed(by: delay)
        return settlement
    }

    /// The same, with reasons that every encoding knows.
    var inASCII: Settlement {
        var attempt = attempt
        if let reason = attempt?.reason { attempt?.reason = reason.inASCII }
        var settlement = Settlement(delivery: delivery, outcome: outcome.inASCII, attempt: attempt, place: place)
        settlement.mayHaveHappened = mayHaveHappened
        return settlement
    }

    /// By its id, wherever it lies.
    var anywhere: Settlement {
        var settlement = self
        settlement.place = nil
        return settlement
    }
}

/// Why the engine cancelled a running handler.
public enum CancelCause: Sendable, Equatable {
    case deadline
    case leaseLost
    case shutdown
}

extension Settlement {
    /// The one place where a run's end becomes an outcome.
    ///
    /// - Parameters:
    ///   - cause: why the engine had cancelled the run, if it had. A lost lease never comes here: it has no outcome.
    ///   - draw: a random number in 0...1, for the back-off's jitter.
    /// - Note: A handler that returned success although it was cancelled has done its work, and that counts.
    static func of(
        _ verdict: Verdict,
        lease: Lease,
        cause: CancelCause?,
        took duration: Duration,
        policy: QueuePolicy,
        draw: Double
    ) -> Settlement {
        func attempt(_ kind: Attempt.Kind, _ reason: String, delay: Duration? = nil) -> Settlement {
            let number = lease.history.attempts + 1
            let record = Attempt(number: number, kind: kind, duration: duration, reason: reason)
            let outcome: Outcome =
                number >= policy.retry.maxAttempts
                ? .deadLetter(reason: reason)
                : .retry(after: delay ?? policy.retry.delay(afterAttempt: number, draw: draw), reason: reason)
            return Settlement(delivery: lease.delivery, outcome: outcome, attempt: record)
        }
        /// What a handler asks for, in bounds that every server can add to its clock.
        func bounded(_ delay: Duration) -> Duration {
            min(max(delay, .zero), .seconds(365 * 86_400))
        }
        func unspent(_ outcome: Outcome) -> Settlement {
            Settlement(delivery: lease.delivery, outcome: outcome)
        }
        switch (verdict, cause) {
        case (.done, _):
            return unspent(.done)
        case (.snooze(let delay), _):
            return unspent(.snooze(bounded(delay)))
        case (.notStarted, .none):
            return unspent(.released(after: policy.notStartedDelay))
        case (.notStarted, _), (_, .shutdown):
            return unspent(.released(after: .zero))
        case (.failed(let reason), .deadline), (.retry(_, let reason), .deadline), (.deadLetter(let reason), .deadline):
            return attempt(.timedOut, "timed out after \(policy.handlerTimeout): \(reason)")
        case (.failed(let reason), _):
            return attempt(.failed, reason)
        case (.retry(let delay, let reason), _):
            return attempt(.failed, reason, delay: bounded(delay))
        case (.deadLetter(let reason), _):
            let number = lease.history.attempts + 1
            let record = Attempt(number: number, kind: .failed, duration: duration, reason: reason)
            return Settlement(delivery: lease.delivery, outcome: .deadLetter(reason: reason), attempt: record)
        }
    }

    /// What a claimed message is settled with before it runs at all; nil: run it.
    static func beforeRun(_ lease: Lease, policy: QueuePolicy) -> Settlement? {
        let history = lease.history
        let reason: String
        if lease.isOversized {
            reason = "too_large: \(lease.size) bytes, the limit is \(policy.maxMessageBytes)"
        } else if lease.fence.readCount == Fence.lastReadCount {
            reason =
                "read_ct_exhausted: read_ct is at the end of its type, so further deliveries could not be told apart"
        } else if let condemned = history.condemned {
            reason = condemned
        } else if history.attempts >= policy.retry.maxAttempts {
            reason = history.lastReason ?? "\(history.attempts) attempts failed"
        } else if policy.runsInProcess, history.crashes >= policy.maxCrashes {
            reason = "crashed: \(history.crashes) deliveries ended with the worker process, without an outcome"
        } else {
            return nil
        }
        return Settlement(delivery: lease.delivery, outcome: .deadLetter(reason: reason))
    }
}
