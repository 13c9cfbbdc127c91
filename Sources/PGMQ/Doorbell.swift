/// How our trigger on a queue's inserts learns that somebody sleeps: a sleeper holds an advisory lock, shared, which
/// the trigger tries to take. The parts of SQL that both sides must agree on.
enum Doorbell {
    /// The lock's key, of the queue that a parameter names in lower case.
    static func key(_ parameter: String) -> String {
        "hashtextextended('pgmqd:' || \(parameter), 0)"
    }

    /// Whether the condition of the trigger `t` tries that lock. The key that it was given is of the server where it was
    /// hung: restored to one that makes another, it would never ring.
    static func asks(_ parameter: String) -> String {
        "(t.tgqual is not null and strpos(pg_get_triggerdef(t.oid), \(key(parameter))::text) > 0)"
    }

    /// Whether the trigger `t`, being ours, rings for who sleeps: that of an earlier version asks in its function alone.
    static func rings(_ parameter: String) -> String {
        "(t.tgqual is null or \(asks(parameter)))"
    }
}
