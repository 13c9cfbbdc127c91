import Engine
import Postgres

/// The SQL of one queue. Identifiers are quoted by libpq; everything else is a parameter.
struct QueueStatements: Sendable {
    let queue: QueueName
    let shape: QueueShape
    let identity: DaemonIdentity
    let options: QueueOptions
    let partitions: Partitions

    // MARK: - Tables

    /// The queue's own table. Of a partitioned queue it is the parent, whose partitions have the same places.
    var whole: QueueTable { QueueTable(name: shape.table, condition: "", hasPlaces: !shape.isPartitioned) }

    /// Where the row of a lease lies. What is gone has been sorted out before: see ``isGone(_:)``.
    func table(_ source: FenceSource) -> QueueTable { table(source.partition) }

    func table(_ partition: UInt16) -> QueueTable { partition == 0 ? whole : partitions[partition] ?? whole }

    /// The partition was dropped or detached, or the column is there no more: the lease has ended with it.
    func isGone(_ source: FenceSource) -> Bool {
        source.partition != 0 && partitions[source.partition] == nil || !source.outlivesDelay && !shape.hasLastReadAt
    }

    // MARK: - Fences

    /// The column that stands in the fence beside `msg_id` and `read_ct`.
    func readAt(_ source: FenceSource) -> String { source.outlivesDelay ? "enqueued_at" : "last_read_at" }

    /// The source of the fences of a claim on this table.
    func source(partition: UInt16 = 0) -> FenceSource {
        FenceSource(partition: partition, outlivesDelay: !shape.hasLastReadAt)
    }

    /// On the table's rows `q` and the leases' rows `l`.
    ///
    /// The id is compared as a range of one: rows can be looked up by it, for one lease after the other. With an
    /// equality the planner could as well read the whole index in its order and look for each row's lease, and would
    /// in a queue that it believes to be empty.
    func fence(_ source: FenceSource) -> String {
        """
        q.msg_id operator(pg_catalog.>=) l.msg_id and q.msg_id operator(pg_catalog.<=) l.msg_id \
        and q.read_ct operator(pg_catalog.=) l.read_ct and q.\(readAt(source)) operator(pg_catalog.=) l.read_at\
        \(table(source).andCondition)
        """
    }

    /// Leases as rows: three arrays from this parameter on. With several arguments `unnest` is special syntax, which no
    /// function of another schema replaces, and which takes no schema.
    static let leases = "unnest($1::bigint[], $2::int[], $3::pg_catalog.timestamptz[])"

    // MARK: - Claiming

    /// The rows to take are locked in the order of `vt`, and written in one scan of their places.
    ///
    /// Texts are made once, of what was taken, and only of what is not far too large: a body of control characters is six
    /// times as long as it is stored, and a compressed one hundreds of times. Of what is too large only the size is sent.
    ///
    /// - Parameter partition: the number of the partition that is claimed from; 0: the whole queue. Claimed from the
    ///   whole of a partitioned queue, each row tells its partition.
    func claim(_ claim: Claim, from partition: UInt16 = 0) -> Statement {
        var parameters = Parameters()
        let table = table(partition)
        let (place, taken) =
            table.hasPlaces
            ? (
                claim.isOfNamedRows ? "q.ctid as place, q.msg_id" : "q.ctid as place",
                "q.ctid operator(pg_catalog.=) any(array(select place from p))"
            )
            : ("q.msg_id", "q.msg_id operator(pg_catalog.=) any(array(select msg_id from p))")
        let selected = selection(of: claim, from: table, place + ", q.vt as former_vt", &parameters)
        let timeout = parameters.add(.double(options.visibilityTimeout.inSeconds))
        let limit = parameters.add(.int(Int64(min(claim.bytesEach, options.maxMessageBytes))))
        // Small numbers and empty strings take four times as much as their text.
        let most = parameters.add(.int(4 * Int64(options.maxMessageBytes) + 1024))
        let journal = [.text(queue.folded), .text(identity.daemon), .text(identity.host), .text(identity.version)]
            .map { parameters.add($0) }
        let suspected = parameters.add(.int(Int64(options.suspectedAfter)))
        let size = """
            case when t.raw operator(pg_catalog.>) \(most) then t.raw \
            else coalesce(pg_catalog.octet_length(t.body), 0) operator(pg_catalog.+) coalesce(pg_catalog.octet_length(t.headers), 0) end
            """
        var rows = "from taken t"
        var id = "t.msg_id"
        if case .only = claim.reach {
            // Whom it has locked and not changed: something swallows the update.
            (rows, id) = ("from p left join taken t on t.msg_id operator(pg_catalog.=) p.msg_id", "p.msg_id")
        }
        return Statement(
            """
            with p as materialized (
                \(selected)
            ), taken as (
                update \(table.name) q
                set vt = pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => \(timeout)),
                    read_ct = q.read_ct operator(pg_catalog.+) 1\
            \(shape.hasLastReadAt ? ", last_read_at = pg_catalog.clock_timestamp()" : "")
                where \(taken)\(table.andCondition)
                returning q.msg_id, q.read_ct, q.enqueued_at, q.\(readAt(source())) as read_at, q.ctid as place,\(table.hasPlaces ? "" : " q.tableoid,")
                    \(Self.text(of: "q.message", below: most)) as body,
                    \(Self.text(of: "q.headers", below: most)) as headers,
                    case when \(Self.isSmall("q.message")) and \(Self.isSmall("q.headers")) then null
                        else coalesce(\(Self.rawSize("q.message")), 0)
                            operator(pg_catalog.+) coalesce(\(Self.rawSize("q.headers")), 0) end as raw
            )
            select \(id), t.read_ct, t.enqueued_at, t.read_at, (select pg_catalog.max(former_vt) from p),
                case when (\(size)) operator(pg_catalog.>) \(limit) then \(size) end,
                case when (\(size)) operator(pg_catalog.<=) \(limit) then t.body end,
                case when (\(size)) operator(pg_catalog.<=) \(limit) then t.headers end,
                case when t.read_ct operator(pg_catalog.>) 1 then
                    pgmqd.deliver(\(journal[0]), t.msg_id, t.enqueued_at, t.read_ct, \(journal[1]), \(journal[2]), \
            \(journal[3]), \(suspected)::bigint::int) end,
                t.place\(table.hasPlaces ? "" : ", t.tableoid::bigint")
            \(rows)
            """,
            parameters.values,
            // Of partitions, and of rows that are named, the rows are found again by their ids, whose best plan hangs on
            // their size.
            keepsPlan: table.hasPlaces && table.condition.isEmpty && !claim.isOfNamedRows
        )
    }

    /// Stored sizes up to this are never compressed so far that their texts are a burden.
    private static func isSmall(_ column: String) -> String {
        "coalesce(pg_catalog.pg_column_size(\(column)), 0) operator(pg_catalog.<=) 1900"
    }

    /// The size of a `jsonb` as it is in memory. Taking all of it makes the server decompress it, and nothing more.
    private static func rawSize(_ column: String) -> String {
        "pg_catalog.pg_column_size(pg_catalog.jsonb_extract_path(\(column), variadic '{}'::pg_catalog.text[]))"
    }

    private static func text(of column: String, below most: String) -> String {
        "case when \(isSmall(column)) then \(column)::pg_catalog.text "
            + "when \(rawSize(column)) operator(pg_catalog.<=) \(most) then \(column)::pg_catalog.text end"
    }

    /// The rows that a claim takes, locked.
    private func selection(
        of claim: Claim,
        from table: QueueTable,
        _ columns: String,
        _ parameters: inout Parameters,
        lock: String = "for update skip locked"
    ) -> String {
        var conditions: [String] = []
        switch claim.reach {
        case .only(let ids):
            conditions.append("q.msg_id operator(pg_catalog.=) any(\(parameters.add(.ints(ids))))")
        case .recent:
            let second = "pg_catalog.make_interval(secs => 1)"
            conditions.append(
                "q.vt operator(pg_catalog.>=) (pg_catalog.statement_timestamp() operator(pg_catalog.-) \(second))"
            )
        case .floor, .below, .all:
            let floor = parameters.add(.timestamp(ServerTime.microseconds(claim.floor ?? .distantPast)))
            conditions.append("q.vt operator(pg_catalog.>=) \(floor)")
        }
        conditions.append("q.vt operator(pg_catalog.<=) pg_catalog.statement_timestamp()")
        if !claim.passingOver.isEmpty {
            conditions.append("q.msg_id operator(pg_catalog.<>) all(\(parameters.add(.ints(claim.passingOver))))")
        }
        let limit = parameters.add(.int(Int64(claim.limit)))
        return """
            select \(columns) from \(table.name) q \
            where \(conditions.joined(separator: " and "))\(table.andCondition) \
            order by q.vt limit \(limit) \(lock)
            """
    }

    /// Locks the first visible row, and waits for it where another transaction holds it.
    func watch(passingOver: [Int64]) -> Statement {
        var parameters = Parameters()
        var claim = Claim(limit: 1, reach: .all, floor: nil)
        claim.passingOver = passingOver
        let sql = selection(of: claim, from: whole, "q.msg_id", &parameters, lock: "for no key update")
        return Statement(sql, parameters.values)
    }

    /// What a claim has left, because it was too large for it.
    func read(_ fence: Fence) -> Statement {
        Statement(
            """
            select q.message::pg_catalog.text, q.headers::pg_catalog.text from \(table(fence.source).name) q
            join \(Self.leases) as l(msg_id, read_ct, read_at) on \(self.fence(fence.source))
            """,
            leaseArrays([fence])
        )
    }

    // MARK: - Rows that no claim can take

    /// What a claim would take, without the bodies, which may be what nobody can read.
    func list(_ claim: Claim) -> Statement {
        var parameters = Parameters()
        let lastRead = shape.hasLastReadAt ? "q.last_read_at" : "null::pg_catalog.timestamptz"
        let sql = selection(of: claim, from: whole, "q.msg_id, q.read_ct, q.enqueued_at, \(lastRead)", &parameters)
        return Statement(sql, parameters.values)
    }

    func statement(_ order: UnclaimableOrder) throws(MissingDeadLetterQueue) -> Statement {
        switch order {
        case .mark(let marks): mark(marks)
        case .deadLetter(let candidate, let reason): try moveUnread(candidate, reason: reason)
        }
    }

    /// Names rows in the journal, or strikes them out. A delivery's number is never negative, so a mark is nobody's row.
    func mark(_ marks: [UnclaimableOrder.Mark]) -> Statement {
        Statement(
            """
            with m as (
                select * from unnest($2::bigint[], $3::pg_catalog.timestamptz[], $4::pg_catalog.text[]) as m(msg_id, enqueued_at, reason)
            ), named as (
                insert into pgmqd.journal as j (queue, msg_id, enqueued_at, read_ct, daemon, host, version, closed_at,
                    outcome, reason)
                select $1, m.msg_id, m.enqueued_at, -1, $5, $6, $7, pg_catalog.clock_timestamp(), 'unclaimable', m.reason
                from m where m.reason is not null
                on conflict (queue, msg_id, enqueued_at, read_ct) do update
                set closed_at = excluded.closed_at, reason = excluded.reason, daemon = excluded.daemon
            )
            delete from pgmqd.journal j using m
            where m.reason is null and j.queue operator(pg_catalog.=) $1 and j.msg_id operator(pg_catalog.=) m.msg_id
                and j.enqueued_at operator(pg_catalog.=) m.enqueued_at and j.read_ct operator(pg_catalog.=) -1
            """,
            [
                .text(queue.folded), .ints(marks.map(\.candidate.messageID)),
                .timestamps(marks.map { ServerTime.microseconds($0.candidate.enqueuedAt) }),
                .texts(marks.map { Reason.storable($0.reason) }),
                .text(identity.daemon), .text(identity.host), .text(identity.version),
            ]
        )
    }

    // MARK: - Renewing

    /// Two statements for fences of one source: what was extended, and what the fence still holds for. What is only in
    /// the second was locked by somebody at that moment, or came too late, and is not lost.
    func renew(_ fences: [Fence], of source: FenceSource, notAfter: Timestamp) -> [Statement] {
        let table = table(source)
        let leases = leaseArrays(fences)
        let inTime =
            source.outlivesDelay ? " where pg_catalog.clock_timestamp() operator(pg_catalog.<) $5" : ""
        let sameRow =
            table.hasPlaces ? "q.ctid operator(pg_catalog.=) p.place" : "q.msg_id operator(pg_catalog.=) p.msg_id"
        return [
            Statement(
                """
                with l as (select * from \(Self.leases) as l(msg_id, read_ct, read_at)),
                p as materialized (
                    select q.msg_id, l.read_at, q.ctid as place from l join \(table.name) q on \(fence(source))\(inTime)
                    order by q.msg_id for update of q skip locked
                )
                update \(table.name) q
                set vt = greatest(q.vt, pg_catalog.clock_timestamp()
                    operator(pg_catalog.+) pg_catalog.make_interval(secs => $4))
                from p where \(sameRow)\(table.andCondition) returning q.msg_id, q.read_ct, p.read_at
                """,
                leases + [.double(options.visibilityTimeout.inSeconds)]
                    + (source.outlivesDelay ? [.timestamp(ServerTime.microseconds(notAfter))] : [])
            ),
            held(fences, of: source),
        ]
    }

    /// The leases whose rows still carry the fence.
    func held(_ fences: [Fence], of source: FenceSource) -> Statement {
        Statement(
            """
            select l.* from \(Self.leases) as l(msg_id, read_ct, read_at) join \(table(source).name) q on \(fence(source))
            """,
            leaseArrays(fences)
        )
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
            update pgmqd.journal j set outcome = 'lost', closed_at = pg_catalog.clock_timestamp()
            from unnest($2::bigint[], $3::int[], $4::pg_catalog.timestamptz[]) as l(msg_id, read_ct, enqueued_at)
            where j.queue operator(pg_catalog.=) $1 and j.msg_id operator(pg_catalog.=) l.msg_id
                and j.enqueued_at operator(pg_catalog.=) l.enqueued_at and j.read_ct operator(pg_catalog.=) l.read_ct
                and j.daemon operator(pg_catalog.=) $5 and j.outcome is null
            """,
            [.text(queue.folded)] + deliveryArrays(deliveries) + [.text(identity.daemon)]
        )
    }

    /// Opens a suspect's row, where the fence holds; returns it then.
    func begin(_ suspect: Delivery) -> Statement {
        Statement(
            """
            with held as (
                select q.msg_id, q.enqueued_at, q.read_ct from \(table(suspect.fence.source).name) q
                join \(Self.leases) as l(msg_id, read_ct, read_at) on \(fence(suspect.fence.source))
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
            update pgmqd.journal j set outcome = 'phantom', closed_at = pg_catalog.clock_timestamp()
            where j.queue operator(pg_catalog.=) $1 and j.daemon operator(pg_catalog.=) $5 and j.outcome is null and not exists (
                select from unnest($2::bigint[], $3::int[], $4::pg_catalog.timestamptz[]) as l(msg_id, read_ct, enqueued_at)
                where j.msg_id operator(pg_catalog.=) l.msg_id and j.enqueued_at operator(pg_catalog.=) l.enqueued_at
                    and j.read_ct operator(pg_catalog.=) l.read_ct
            )
            """,
            [.text(queue.folded)] + deliveryArrays(held) + [.text(identity.daemon)]
        )
    }

    func prune() -> Statement {
        Statement(
            """
            delete from pgmqd.journal j where (j.queue, j.msg_id, j.enqueued_at, j.read_ct) operator(pg_catalog.=) any (
                select k.queue, k.msg_id, k.enqueued_at, k.read_ct from pgmqd.journal k
                where k.queue operator(pg_catalog.=) $1
                and k.opened_at operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) pg_catalog.make_interval(mins => 10))
                and not exists (
                    select from \(shape.table) q where q.msg_id operator(pg_catalog.=) k.msg_id
                        and q.enqueued_at operator(pg_catalog.=) k.enqueued_at
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

extension Claim {
    /// Of rows that are named one by one, or passed over.
    fileprivate var isOfNamedRows: Bool {
        if case .only = reach { true } else { !passingOver.isEmpty }
    }
}
