/// Runs the work of a queue's messages.
///
/// A message may be delivered more than once, so the work must be idempotent.
public protocol Handler: Sendable {
    /// Runs the work for one message.
    ///
    /// The task is cancelled when the deadline passed, the lease was lost, or a shutdown ran out of grace; the
    /// engine knows which, and keeps renewing the lease until this returns. So return soon after cancellation.
    func handle(_ message: Message) async -> Verdict

    /// How long a cancelled run may take to end by itself. A shutdown waits for it beyond its grace.
    var cancellationAllowance: Duration { get }
}

extension Handler {
    public var cancellationAllowance: Duration { .zero }
}

/// How one run of a handler ended, in the handler's own view. The engine makes an ``Outcome`` of it.
public enum Verdict: Sendable, Equatable {
    case done
    /// The attempt failed; the queue's retry policy decides when, and whether, it is tried again.
    case failed(String)
    /// The attempt failed and should be tried again after this long, whatever the policy's back-off says.
    case retry(after: Duration, reason: String)
    /// No further attempt can succeed.
    case deadLetter(String)
    /// Not now: again after this long, and no attempt is spent.
    case snooze(Duration)
    /// The work could not be begun for a reason that is not the message's; no attempt is spent.
    case notStarted(String)
}
