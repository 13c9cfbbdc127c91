import Engine
import Postgres

/// The SQL of one queue. Identifiers are quoted by libpq; everything else is a parameter.
struct QueueStatements: Sendable {
    let queue: QueueName
    let shape: QueueShape
    let identity: DaemonIdentity
    let options: QueueOptions

    /// The column that stands in the fence beside `msg_id` and `read_ct`.
    var readAt: String { shape.hasLastReadAt ? "last_read_at" : "enqueued_at" }

    /// On the table's rows `q` and the leases' rows `l`.
    ///
    /// The id is compared as a range of one: rows can be looked up by it, for one lease after the other. With an
    /// equality the planner could as well read the whole index in its order and look for each row's lease, and would
    /// in a queue that it believes to be empty.
    var fence: String {
        "q.msg_id between l.msg_id and l.msg_id and q.read_ct = l.read_ct and q.\(readAt) = l.read_at"
    }

    /// A row is found again by where it lies, but for partitions, which have the same places.
    private var sameRow: String { shape.isPartitioned ? "q.msg_id = p.msg_id" : "q.ctid = p.place" }

    // MARK: - Claiming

    /// The rows to take are locked in the order of `vt`, and written in one scan of their places.
    ///
    /// Texts are made once, of what was taken; of what is too large only the size is sent.
    func claim(_ claim: Claim) -> Statement {
        let (place, taken, left) =
            shape.isPartitioned
            ? ("msg_id", "q.msg_id = any(array(select msg_id from p))", "null::tid")
            : ("ctid as place", "q.ctid = any(array(select place from p))", "q.ctid")
        let size = "coalesce(octet_length(body), 0) + coalesce(octet_length(headers), 0)"
        return Statement(
            """
            with p as materialized (
                select \(place), vt as former_vt from \(shape.table)
                where vt >= coalesce($1, statement_timestamp() - interval '1 second') and vt <= statement_timestamp()
                order by vt limit $2 for update skip locked
            ), taken as (
                update \(shape.table) q
                set vt = clock_timestamp() + make_interval(secs => $3), read_ct = q.read_ct + 1\
            \(shape.hasLastReadAt ? ", last_read_at = clock_timestamp()" : "")
                where \(taken)
                returning q.msg_id, q.read_ct, q.enqueued_at, q.\(readAt) as read_at, \(left) as place,
                    q.message::text as body, q.headers::text as headers
            )
            select msg_id, read_ct, enqueued_at, read_at, (select max(former_vt) from p),
                case when \(size) > $8 then \(size) end,
                case when \(size) <= $8 then body end, case when \(size) <= $8 then headers end,
                case when read_ct > 1 then
                    pgmqd.deliver($4, msg_id, enqueued_at, read_ct, $5, $6, $7, $9::bigint::int) end,
                place
            from taken
            """,
            [
                claim.reach == .recent
                    ? .null : .timestamp(ServerTime.microseconds(claim.floor ?? .distantPast)),
                .int(Int64(claim.limit)),
                .double(options.visibilityTimeout.inSeconds),
                .text(queue.folded), .text(identity.daemon), .text(identity.host), .text(identity.version),
                .int(Int64(min(claim.bytesEach, options.maxMessageBytes))), .int(Int64(options.suspectedAfter)),
            ],
            // Of partitions the rows are found again by their ids, whose best plan hangs on their size.
            keepsPlan: !shape.isPartitioned
        )
    }

    /// What a claim has left, because it was too large for it.
    func read(_ fence: Fence) -> Statement {
        Statement(
            """
            select q.message::text, q.headers::text from \(shape.table) q
            join unnest($1::bigint[], $2::int[], $3::timestamptz[]) as l(msg_id, read_ct, read_at) on \(self.fence)
            """,
            leaseArrays([fence])
        )
    }

    // MARK: - Renewing

    /// Two statements: what was extended, and what the fence still holds for. What is only in the second was locked
    /// by somebody at that moment, and is not lost.
    func renew(_ fences: [Fence]) -> [Statement] {
        let leases = leaseArrays(fences)
        return [
            Statement(
                """
                with l as (select * from unnest($1::bigint[], $2::int[], $3::timestamptz[]) as l(msg_id, read_ct, read_at)),
                p as materialized (
                    select q.msg_id, l.read_at, q.ctid as place from l join \(shape.table) q on \(fence)
                    order by q.msg_id for update of q skip locked
                )
                update \(shape.table) q set vt = greatest(q.vt, clock_timestamp() + make_interval(secs => $4))
                from p where \(sameRow) returning q.msg_id, q.read_ct, p.read_at
                """,
                leases + [.double(options.visibilityTimeout.inSeconds)]
            ),
            Statement(
                """
                select l.* from unnest($1::bigint[], $2::int[], $3::timestamptz[]) as l(msg_id, read_ct, read_at)
                join \(shape.table) q on \(fence)
                """,
                leases
            ),
        ]
    }

    func leaseArrays(_ fences: [Fence]) -> [Parameter] {
        [
            .ints(fences.map(\.messageID)),
            .int4s(fences.map(\.readCount)),
            .timestamps(fences.map { ServerTime.microseconds($0.readAt) }),
        ]
    }

    // MARK: - Journal

    func closeLost(_ deliveries: [Delivery]) -> Statement {
        Statement(
            """
            update pgmqd.journal j set outcome = 'lost', closed_at = clock_timestamp()
            from unnest($2::bigint[], $3::int[], $4::timestamptz[]) as l(msg_id, read_ct, enqueued_at)
            where j.queue = $1 and j.msg_id = l.msg_id and j.enqueued_at = l.enqueued_at and j.read_ct = l.read_ct
                and j.daemon = $5 and j.outcome is null
            """,
            [.text(queue.folded)] + deliveryArrays(deliveries) + [.text(identity.daemon)]
        )
    }

    /// Opens a suspect's row, where the fence holds; returns it then.
    func begin(_ suspect: Delivery) -> Statement {
        Statement(
            """
            with held as (
                select q.msg_id, q.enqueued_at, q.read_ct from \(shape.table) q
                join unnest($1::bigint[], $2::int[], $3::timestamptz[]) as l(msg_id, read_ct, read_at) on \(fence)
                for update of q
            ), opened as (
                insert into pgmqd.journal (queue, msg_id, enqueued_at, read_ct, daemon, host, version)
                select $4, msg_id, enqueued_at, read_ct, $5, $6, $7 from held
                on conflict do nothing
            )
            select msg_id from held
            """,
            leaseArrays([suspect.fence]) + [
                .text(queue.folded), .text(identity.daemon), .text(identity.host), .text(identity.version),
            ]
        )
    }

    func closePhantoms(holding held: [Delivery]) -> Statement {
        Statement(
            """
            update pgmqd.journal j set outcome = 'phantom', closed_at = clock_timestamp()
            where j.queue = $1 and j.daemon = $5 and j.outcome is null and not exists (
                select from unnest($2::bigint[], $3::int[], $4::timestamptz[]) as l(msg_id, read_ct, enqueued_at)
                where j.msg_id = l.msg_id and j.enqueued_at = l.enqueued_at and j.read_ct = l.read_ct
            )
            """,
            [.text(queue.folded)] + deliveryArrays(held) + [.text(identity.daemon)]
        )
    }

    func prune() -> Statement {
        Statement(
            """
            delete from pgmqd.journal j where (j.queue, j.msg_id, j.enqueued_at, j.read_ct) in (
                select k.queue, k.msg_id, k.enqueued_at, k.read_ct from pgmqd.journal k
                where k.queue = $1 and k.opened_at < now() - interval '10 minutes' and not exists (
                    select from \(shape.table) q where q.msg_id = k.msg_id and q.enqueued_at = k.enqueued_at
                ) limit 1000
            )
            """,
            [.text(queue.folded)]
        )
    }

    private func deliveryArrays(_ deliveries: [Delivery]) -> [Parameter] {
        [
            .ints(deliveries.map(\.fence.messageID)),
            .int4s(deliveries.map(\.fence.readCount)),
            .timestamps(deliveries.map { ServerTime.microseconds($0.enqueuedAt) }),
        ]
    }
}

/// Who we are, in the journal.
public struct DaemonIdentity: Sendable, Equatable {
    /// New with every start: rows that an earlier life left open are crashes, not ours to close.
    public let daemon: String
    public let host: String
    public let version: String

    public init(daemon: String, host: String, version: String) {
        self.daemon = daemon
        self.host = host
        self.version = version
    }
}

/// What of a queue's configuration its SQL depends on.
public struct QueueOptions: Sendable, Equatable {
    public var visibilityTimeout: Duration
    public var maxMessageBytes: Int
    public var archives: Bool
    /// false: a settlement's commit returns before it is on the disk.
    public var durable: Bool
    public var deadLetter: QueueName
    /// From this many open journal rows on a message is a suspect, whose row is opened when it begins.
    public var suspectedAfter: Int

    public init(
        visibilityTimeout: Duration,
        maxMessageBytes: Int,
        archives: Bool,
        durable: Bool,
        deadLetter: QueueName,
        suspectedAfter: Int = Int(Int32.max)
    ) {
        self.suspectedAfter = suspectedAfter
        self.visibilityTimeout = visibilityTimeout
        self.maxMessageBytes = maxMessageBytes
        self.archives = archives
        self.durable = durable
        self.deadLetter = deadLetter
    }
}
