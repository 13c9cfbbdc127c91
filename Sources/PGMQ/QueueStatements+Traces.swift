import Engine
import Logging
import Postgres
import Synchronization

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
            join \(shape.table) q on q.msg_id operator(pg_catalog.>=) l.msg_id
                and q.msg_id operator(pg_catalog.<=) l.msg_id and q.read_ct operator(pg_catalog.=) l.read_ct
                and q.enqueued_at operator(pg_catalog.=) l.enqueued_at
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

/// Crashed deliveries of a queue that its journal does not have yet.
struct UnjournaledCrashes: Sendable {
    var deliveries: [CrashedDelivery] = []
    /// Called when the rows are committed.
    var onCommit: [@Sendable () -> Void] = []
}

extension PGMQQueue {
    /// So many rows are written in one transaction: it must end within the deadline of a call.
    private static let crashesAtOnce = 500

    /// Has these deliveries journaled before anything is claimed: the next claim of their messages counts them.
    ///
    /// - Parameter onCommit: called once, when their rows are committed, or the server has said that it will never take
    ///   them.
    public func journalBeforeClaiming(_ crashed: [CrashedDelivery], onCommit: @escaping @Sendable () -> Void) {
        crashes.withLock { crashes in
            var pending = crashes ?? UnjournaledCrashes()
            pending.deliveries += crashed
            pending.onCommit.append(onCommit)
            crashes = pending
        }
    }

    /// - Throws: what may pass by itself, or pauses the queue. Of two claims that come here together both write, and
    ///   neither claims before the rows are there.
    func journalCrashes(_ statements: QueueStatements, on connection: Connection) async throws(QueueFailure) {
        guard let pending = crashes.withLock({ $0 }) else { return }
        var rest = pending.deliveries[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.crashesAtOnce)
            rest = rest.dropFirst(batch.count)
            do throws(PostgresError) {
                _ = try await connection.transaction([statements.journal(batch)], limits: database.limits())
            } catch {
                let failure = QueueFailure(error)
                switch failure {
                case .rejected(let reason), .conflict(let reason):
                    // The queue does not stand still for what only helps to find a suspect sooner.
                    database.logger.warning(
                        "crash traces dropped, because the server refuses them",
                        metadata: [
                            "queue": "\(name)", "deliveries": "\(batch.count)", "reason": "\(reason.loggableReason)",
                        ]
                    )
                case .unavailable, .overdue, .busy, .exhausted, .refused, .cancelled:
                    throw failure
                }
            }
        }
        for committed in crashes.withLock({ $0.take() })?.onCommit ?? [] { committed() }
    }
}
