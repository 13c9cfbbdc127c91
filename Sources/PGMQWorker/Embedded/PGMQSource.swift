/// Where PGMQ comes from.
public enum PGMQSource: Sendable, Equatable {
    /// The extension where the server has it; else the file that `PGMQD_PGMQ_SQL` names; else the newest release known.
    case automatic
    /// A file with PGMQ's SQL.
    case file(String)
    /// The SQL of this release, whatever else there is.
    case release(PGMQRelease)
}
