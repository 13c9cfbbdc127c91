/// How our trigger on a queue's inserts learns that somebody sleeps: a sleeper holds an advisory lock, shared, which
/// the trigger tries to take. The parts of SQL that both sides must agree on.
enum Doorbell {
    /// The lock's key, of the queue that a parameter names in lower case.
    static func key(_ parameter: String) -> String {
        "pg_catalog.hashtextextended('pgmqd:' operator(pg_catalog.||) \(parameter), 0)"
    }

    /// Whether the condition of the trigger `t` tries that lock. The key that it was given is of the server where it was
    /// hung: restored to one that makes another, it would never ring. For ``Statement/catalogPath``.
    static func asks(_ parameter: String) -> String {
        """
        (t.tgqual is not null
            and pg_catalog.strpos(pg_catalog.pg_get_triggerdef(t.oid), \(key(parameter))::pg_catalog.text) > 0)
        """
    }

    /// Whether ours hangs on the table and rings for who sleeps: that of an earlier version asks in its function alone. For
    /// ``Statement/catalogPath``.
    static func rings(on table: String, queue parameter: String) -> String {
        """
        exists(select from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
            join pg_catalog.pg_namespace n on n.oid = p.pronamespace
            where t.tgrelid = \(table) and n.nspname = 'pgmqd' and p.proname = 'doorbell'
            and t.tgenabled in ('O', 'A') and (t.tgqual is null or \(asks(parameter))))
        """
    }
}
