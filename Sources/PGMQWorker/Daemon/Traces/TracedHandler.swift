import Engine

/// A handler inside the process whose first deliveries leave a trace while they run: it may take the process along.
///
/// Later deliveries have a row in the journal.
struct TracedHandler: Handler {
    let handler: any Handler
    let trace: CrashTrace

    func handle(_ message: Message) async -> Verdict {
        guard message.readCount == 1, let slot = trace.begin(message) else { return await handler.handle(message) }
        let verdict = await handler.handle(message)
        trace.end(slot)
        return verdict
    }

    var cancellationAllowance: Duration { handler.cancellationAllowance }
}

extension QueueConfiguration {
    /// A queue that dead-letters at the first crash has no traces: it would take the innocent beside the guilty along,
    /// none of which had run alone before.
    var tracesFirstDeliveries: Bool { handler.runsInProcess && maxCrashes > 1 }
}
