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
    /// All plans are generic: what keeps its plan has one from the first time on.
    func statement(_ planning: Planning) -> Statement {
        var settings = [
            ("lock_timeout", "\(lockTimeout.milliseconds)"), ("statement_timeout", "\(statementTimeout.milliseconds)"),
            ("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off"),
            ("enable_mergejoin", "off"), ("jit", "off"),
        ]
        settings += planning.settings.map { ($0.name, $0.value) }
        if !synchronousCommit { settings.append(("synchronous_commit", "off")) }
        let calls = Planning.calls(settings)
        return Statement("select pg_catalog.statement_timestamp(), \(calls)", keepsPlan: true, plan: planning)
    }
}

extension Duration {
    var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
