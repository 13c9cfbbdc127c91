import Engine
import Postgres

/// A first delivery whose handler ran when its daemon died, as that daemon's trace file tells it.
public struct CrashedDelivery: Sendable, Equatable {
    public var messageID: Int64
    public var enqueuedAt: Timestamp
    public var readCount: Int32
    /// The daemon that died.
    public var daemon: DaemonIdentity

    public init(messageID: Int64, enqueuedAt: Timestamp, readCount: Int32, daemon: DaemonIdentity) {
        self.messageID = messageID
        self.enqueuedAt = enqueuedAt
        self.readCount = readCount
        self.daemon = daemon
    }
}

extension QueueStatements {
    /// Opens a journal row for each delivery whose message is still as that delivery left it. Run twice, it opens none
    /// twice.
    ///
    /// A message that was claimed again meanwhile gets no row, because its first lease may have been lost before its
    /// daemon died. (Several arrays side by side are `rows from`: a qualified `unnest` takes one.)
    func journal(_ crashed: ArraySlice<CrashedDelivery>) -> Statement {
        Statement(
            """
            insert into pgmqd.journal (queue, msg_id, enqueued_at, read_ct, daemon, host, version)
            select $1, q.msg_id, q.enqueued_at, q.read_ct, l.daemon, l.host, l.version
            from rows from (
                pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::int[]),
                pg_catalog.unnest($4::pg_catalog.timestamptz[]), pg_catalog.unnest($5::pg_catalog.text[]),
                pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::pg_catalog.text[])
            ) as l(msg_id, read_ct, enqueued_at, daemon, host, version)
            join \(shape.table) q on q.msg_id between l.msg_id and l.msg_id
                and q.read_ct = l.read_ct and q.enqueued_at = l.enqueued_at
            on conflict do nothing
            """,
            [
                .text(queue.folded),
                .ints(crashed.map(\.messageID)),
                .int4s(crashed.map(\.readCount)),
                .timestamps(crashed.map { ServerTime.microseconds($0.enqueuedAt) }),
                .texts(crashed.map(\.daemon.daemon)),
                .texts(crashed.map(\.daemon.host)),
                .texts(crashed.map(\.daemon.version)),
            ]
        )
    }
}
