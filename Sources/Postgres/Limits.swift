/// What one transaction may cost, on the server's side and on ours.
///
/// Set inside the transaction (`set_config(…, true)`): PgBouncer rejects startup options, and a session's `SET`
/// would leak through it to other clients.
public struct Limits: Sendable, Equatable {
    /// Until this long after the call the client waits; then the connection is closed.
    public var deadline: Duration
    /// The server's own bounds, below the deadline, so that no backend stays behind waiting.
    public var statementTimeout: Duration
    public var lockTimeout: Duration
    /// false: the commit returns before it is on the disk.
    public var synchronousCommit: Bool

    public init(deadline: Duration, lockTimeout: Duration? = nil, synchronousCommit: Bool = true) {
        self.deadline = deadline
        statementTimeout = deadline * 0.8
        self.lockTimeout = min(lockTimeout ?? deadline * 0.5, deadline * 0.5)
        self.synchronousCommit = synchronousCommit
    }

    /// The transaction's first statement. Returns the server's clock, so that a step back is noticed.
    ///
    /// The planner is told to use its indexes: a queue that was empty when its statistics were taken, or never
    /// analyzed, would else be read whole, and rows be locked in another order than that of the parameters.
    var statement: Statement {
        Statement(
            """
            select statement_timestamp(), \
            set_config('lock_timeout', '\(lockTimeout.milliseconds)', true), \
            set_config('statement_timeout', '\(statementTimeout.milliseconds)', true), \
            set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), \
            set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)\
            \(synchronousCommit ? "" : ", set_config('synchronous_commit', 'off', true)")
            """
        )
    }
}

extension Duration {
    var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
