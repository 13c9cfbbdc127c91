import Engine
import Postgres

extension QueueStatements {
    /// The statements that write these outcomes.
    ///
    /// - Throws: ``MissingDeadLetterQueue`` where one is needed and there is none.
    func settle(_ settlements: [Settlement]) throws(MissingDeadLetterQueue) -> [SettlingStatement] {
        guard let first = settlements.first?.fence.source else { return [] }
        // Nearly always all fences are of one source: without a copy of each.
        if settlements.allSatisfy({ $0.fence.source == first }) { return try settle(settlements, of: first) }
        var statements: [SettlingStatement] = []
        for (source, group) in Dictionary(grouping: settlements, by: \.fence.source) {
            statements += try settle(group, of: source)
        }
        return statements
    }

    private func settle(
        _ settlements: [Settlement],
        of source: FenceSource
    ) throws(MissingDeadLetterQueue) -> [SettlingStatement] {
        let hasPlaces = table(source).hasPlaces
        var (placed, done, dead, delayed): ([Settlement], [Settlement], [Settlement], [Settlement]) = ([], [], [], [])
        placed.reserveCapacity(settlements.count)
        for settlement in settlements {
            switch settlement.outcome {
            case .done where hasPlaces && isPlaced(settlement): placed.append(settlement)
            case .done: done.append(settlement)
            case .deadLetter: dead.append(settlement)
            case .retry, .snooze, .released, .condemned: delayed.append(settlement)
            }
        }
        // Rows are locked in the order of the parameters, whichever side of the join they come from.
        var statements: [SettlingStatement] = []
        if !placed.isEmpty {
            placed.sort { $0.place?.raw ?? 0 < $1.place?.raw ?? 0 }
            statements.append(.init(settlements: placed, statement: settleDone(placed, of: source, byPlace: true)))
        }
        if !done.isEmpty {
            done.sort { $0.fence.messageID < $1.fence.messageID }
            statements.append(.init(settlements: done, statement: settleDone(done, of: source)))
        }
        if !dead.isEmpty {
            dead.sort { $0.fence.messageID < $1.fence.messageID }
            statements.append(.init(settlements: dead, statement: try deadLetter(dead, of: source)))
        }
        if !delayed.isEmpty {
            delayed.sort { $0.fence.messageID < $1.fence.messageID }
            statements.append(.init(settlements: delayed, statement: delay(delayed, of: source)))
        }
        return statements
    }

    /// Rows that lie where they were put are read in one scan, where a search by id is one for each.
    private func isPlaced(_ settlement: Settlement) -> Bool {
        settlement.place != nil && !settlement.delivery.isJournaled
    }

    private func settleDone(_ settlements: [Settlement], of leased: FenceSource, byPlace: Bool = false) -> Statement {
        var leases = leaseArrays(settlements.map(\.fence))
        let source = "\(Self.leases) with ordinality as l(msg_id, read_ct, read_at, n)"
        var fence = fence(leased)
        if byPlace {
            fence =
                """
                q.ctid operator(pg_catalog.=) any($4) and q.msg_id operator(pg_catalog.=) l.msg_id \
                and q.read_ct operator(pg_catalog.=) l.read_ct and q.\(readAt(leased)) operator(pg_catalog.=) l.read_at\
                \(table(leased).andCondition)
                """
            leases.append(.places(settlements.compactMap { $0.place?.raw }))
        }
        let journaled = settlements.contains { $0.delivery.isJournaled }
        let needed = options.archives ? "q.*, l.n" : journaled ? "q.msg_id, q.enqueued_at, l.n" : "l.n"
        var ctes = ["gone as (delete from \(table(leased).name) q using \(source) where \(fence) returning \(needed))"]
        if options.archives {
            let lastRead = shape.hasLastReadAt && shape.archiveHasLastReadAt ? ", last_read_at" : ""
            ctes.append(
                """
                kept as (
                    insert into \(shape.archive) (msg_id, read_ct, enqueued_at\(lastRead), vt, message, headers)
                    select msg_id, read_ct, enqueued_at\(lastRead), vt, message, headers from gone
                )
                """
            )
        }
        var parameters = leases
        if journaled {
            ctes.append(pruned(queue: "$4"))
            parameters.append(.text(queue.folded))
        }
        return Statement(
            "with \(ctes.joined(separator: ", ")) \(Self.held(by: "gone"))",
            parameters,
            // A plan made while the journal was empty would read all of a queue's rows there.
            keepsPlan: !journaled,
            plan: byPlace ? .byPlace : .byIndex
        )
    }

    /// How many fences held, and which ones where not all did. A row for each would be as much to send as the messages
    /// themselves, and nearly always says nothing new.
    private static func held(by rows: String) -> String {
        """
        select pg_catalog.count(*), case when pg_catalog.count(*) operator(pg_catalog.<) pg_catalog.cardinality($1)
            then pg_catalog.array_to_string(pg_catalog.array_agg(n), ' ') end from \(rows)
        """
    }

    /// The journal of a message goes with it.
    private func pruned(queue parameter: String) -> String {
        """
        pruned as (
            delete from pgmqd.journal j using gone g
            where j.queue operator(pg_catalog.=) \(parameter) and j.msg_id operator(pg_catalog.=) g.msg_id
                and j.enqueued_at operator(pg_catalog.=) g.enqueued_at
        )
        """
    }

    // MARK: - Delaying

    /// A message that waits carries no lease: its fence is ended, so that no renewal lands behind, and from 1.10 on a
    /// waiting row is told from a leased one by its empty `last_read_at`.
    private func delay(_ settlements: [Settlement], of source: FenceSource) -> Statement {
        let endOfFence = source.outlivesDelay ? "" : ", last_read_at = null"
        return Statement(
            """
            with moved as (
                update \(table(source).name) q
                set vt = pg_catalog.clock_timestamp() operator(pg_catalog.+)
                    (l.delay::double precision operator(pg_catalog.*) interval '1 microsecond')\(endOfFence)
                from unnest($1::bigint[], $2::int[], $3::pg_catalog.timestamptz[], $4::bigint[], $5::pg_catalog.text[], \
            $6::int[], $7::bigint[], $8::pg_catalog.text[]) with ordinality \
            as l(msg_id, read_ct, read_at, delay, outcome, attempt, duration_ms, reason, n)
                where \(fence(source))
                returning l.n, q.msg_id, q.enqueued_at, q.read_ct, l.outcome, 
                    case when l.attempt operator(pg_catalog.<>) 0 then l.attempt end as attempt,
                    case when l.duration_ms operator(pg_catalog.<>) -1 then l.duration_ms end as duration_ms, l.reason
            ), written as (
                insert into pgmqd.journal as j (queue, msg_id, enqueued_at, read_ct, daemon, host, version,
                    closed_at, outcome, attempt, duration_ms, reason)
                select $9, msg_id, enqueued_at, read_ct, $10, $11, $12, pg_catalog.clock_timestamp(), outcome, attempt,
                    duration_ms, reason
                from moved where read_ct operator(pg_catalog.>) 1 or attempt is not null
                    or outcome operator(pg_catalog.=) 'condemned'
                on conflict (queue, msg_id, enqueued_at, read_ct) do update
                set closed_at = excluded.closed_at, outcome = excluded.outcome, attempt = excluded.attempt,
                    duration_ms = excluded.duration_ms, reason = excluded.reason
            ), trimmed as (
                delete from pgmqd.journal j using moved m
                where j.queue operator(pg_catalog.=) $9 and j.msg_id operator(pg_catalog.=) m.msg_id
                    and j.enqueued_at operator(pg_catalog.=) m.enqueued_at
                    and (m.read_ct operator(pg_catalog.>) 20
                            and j.attempt operator(pg_catalog.<=) (m.attempt operator(pg_catalog.-) 20)
                        or m.read_ct operator(pg_catalog.>) 20 and j.attempt is null
                            and j.outcome operator(pg_catalog.<>) 'condemned'
                            and j.read_ct operator(pg_catalog.<=) (m.read_ct operator(pg_catalog.-) 20)
                        -- Each says the same again.
                        or m.outcome operator(pg_catalog.=) 'condemned' and j.outcome operator(pg_catalog.=) 'condemned'
                            and j.attempt is null and j.read_ct operator(pg_catalog.<) m.read_ct)
            )
            \(Self.held(by: "moved"))
            """,
            leaseArrays(settlements.map(\.fence)) + [
                .ints(settlements.map { $0.outcome.delay.inMicroseconds }),
                .texts(settlements.map(\.journalWord)),
                .int4s(settlements.map { Int32($0.attempt?.number ?? 0) }),
                .ints(settlements.map { $0.attempt.map { $0.duration.inMicroseconds / 1000 } ?? -1 }),
                .texts(settlements.map { Reason.storable($0.attempt?.reason ?? $0.outcome.reason) }),
                .text(queue.folded), .text(identity.daemon), .text(identity.host), .text(identity.version),
            ]
        )
    }

    // MARK: - Dead-lettering

    private static let utc = #"'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"#

    private static func text(of time: String) -> String {
        "pg_catalog.to_char(\(time) at time zone 'UTC', \(utc))"
    }

    /// The letters of the rows `gone`, which have what the run left beside them.
    ///
    /// - Parameters:
    ///   - queue: the placeholder of its name; likewise of the host and the version.
    ///   - isUnread: nobody has a lease of them: the last delivery's attempt is told, too.
    private func letters(
        to target: String,
        queue: String,
        host: String,
        version: String,
        isUnread: Bool = false
    ) -> String {
        """
        sent as (
            insert into \(target) (vt, message, headers)
            select pg_catalog.clock_timestamp(), g.message,
                case when g.headers is null then '{}'::pg_catalog.jsonb
                    when pg_catalog.jsonb_typeof(g.headers) operator(pg_catalog.=) 'object' then g.headers
                    else pg_catalog.jsonb_build_object('x-pgmqd-headers', g.headers) end
                operator(pg_catalog.||) pg_catalog.jsonb_build_object('x-pgmqd', pg_catalog.jsonb_build_object(
                    'queue', \(queue)::pg_catalog.text, 'msg_id', g.msg_id, 'read_ct', g.read_ct,
                    'enqueued_at', \(Self.text(of: "g.enqueued_at")),
                    'dead_lettered_at', \(Self.text(of: "pg_catalog.clock_timestamp()")),
                    'reason', g.reason,
                    'attempts', coalesce((
                        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('number', j.attempt,
                            'outcome', case when j.outcome operator(pg_catalog.=) 'condemned' then 'failed'
                                else j.outcome end,
                            'at', \(Self.text(of: "j.closed_at")), 'duration_ms', j.duration_ms,
                            'reason', j.reason, 'host', j.host, 'version', j.version) order by j.attempt)
                        from pgmqd.journal j
                        where j.queue operator(pg_catalog.=) \(queue) and j.msg_id operator(pg_catalog.=) g.msg_id
                            and j.enqueued_at operator(pg_catalog.=) g.enqueued_at
                            and j.attempt is not null and j.read_ct operator(pg_catalog.\(isUnread ? "<=" : "<")) g.read_ct
                    ), '[]'::pg_catalog.jsonb) operator(pg_catalog.||) case when g.attempt operator(pg_catalog.=) 0 then '[]'::pg_catalog.jsonb
                        else pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
                        'number', g.attempt, 'outcome', g.kind, 'duration_ms', g.duration_ms,
                        'at', \(Self.text(of: "pg_catalog.clock_timestamp()")),
                        'reason', g.reason, 'host', \(host)::pg_catalog.text, 'version', \(version)::pg_catalog.text)) end
                ))
            from gone g order by g.msg_id
        ), \(pruned(queue: queue))
        """
    }

    /// Deletes first, and sends what it deleted: run twice, it makes one copy.
    private func deadLetter(
        _ settlements: [Settlement],
        of source: FenceSource
    ) throws(MissingDeadLetterQueue) -> Statement {
        guard let target = shape.deadLetterTable else { throw MissingDeadLetterQueue(name: options.deadLetter) }
        return Statement(
            """
            with gone as (
                delete from \(table(source).name) q
                using unnest($1::bigint[], $2::int[], $3::pg_catalog.timestamptz[], $4::pg_catalog.text[], $5::int[], \
            $6::pg_catalog.text[], $7::bigint[]) with ordinality \
            as l(msg_id, read_ct, read_at, reason, attempt, kind, duration_ms, n)
                where \(fence(source))
                returning l.n, q.msg_id, q.read_ct, q.enqueued_at, q.message, q.headers, l.reason, l.attempt, l.kind,
                    l.duration_ms
            ), \(letters(to: target, queue: "$8", host: "$9", version: "$10"))
            \(Self.held(by: "gone"))
            """,
            leaseArrays(settlements.map(\.fence)) + [
                .texts(settlements.map { Reason.storable($0.outcome.reason) }),
                .int4s(settlements.map { Int32($0.attempt?.number ?? 0) }),
                .texts(settlements.map { $0.attempt?.kind.rawValue ?? "" }),
                .ints(settlements.map { $0.attempt.map { $0.duration.inMicroseconds / 1000 } ?? 0 }),
                .text(queue.folded), .text(identity.host), .text(identity.version),
            ]
        )
    }

    /// Moves a row that no claim can take, without reading it: where it is still visible, still as it was seen, and
    /// locked by nobody. Returns its id then.
    func moveUnread(_ candidate: Candidate, reason: String) throws(MissingDeadLetterQueue) -> Statement {
        guard let target = shape.deadLetterTable else { throw MissingDeadLetterQueue(name: options.deadLetter) }
        var parameters = Parameters()
        let id = parameters.add(.int(candidate.messageID))
        let readCount = parameters.add(.int(Int64(candidate.readCount)))
        let enqueuedAt = parameters.add(.timestamp(ServerTime.microseconds(candidate.enqueuedAt)))
        var lastRead = ""
        if shape.hasLastReadAt {
            let time = candidate.lastReadAt.map { parameters.add(.timestamp(ServerTime.microseconds($0))) }
            lastRead = " and q.last_read_at " + (time.map { "operator(pg_catalog.=) " + $0 } ?? "is null")
        }
        let reason = parameters.add(.text(Reason.storable(reason) ?? ""))
        let letters = letters(
            to: target,
            queue: parameters.add(.text(queue.folded)),
            host: parameters.add(.text(identity.host)),
            version: parameters.add(.text(identity.version)),
            isUnread: true
        )
        return Statement(
            """
            with seen as materialized (
                select q.msg_id from \(shape.table) q
                where q.msg_id operator(pg_catalog.=) \(id) and q.read_ct operator(pg_catalog.=) \(readCount)::bigint::int
                    and q.enqueued_at operator(pg_catalog.=) \(enqueuedAt)\(lastRead)
                    and q.vt operator(pg_catalog.<=) pg_catalog.statement_timestamp()
                for update skip locked
            ), gone as (
                delete from \(shape.table) q using seen s where q.msg_id operator(pg_catalog.=) s.msg_id
                returning q.msg_id, q.read_ct, q.enqueued_at, q.message, q.headers,
                    \(reason)::pg_catalog.text as reason, 0 as attempt, ''::pg_catalog.text as kind, 0::bigint as duration_ms
            ), \(letters)
            select msg_id from gone
            """,
            parameters.values
        )
    }
}

/// Outcomes that one statement writes. It returns how many fences held, and where not all did the places of those that
/// did, counted from 1.
struct SettlingStatement {
    let settlements: [Settlement]
    let statement: Statement

    func refused(_ rows: Rows) -> [Fence] {
        guard rows.int(0, 0) < settlements.count else { return [] }
        let held = Set((rows.text(0, 1) ?? "").split(separator: " ").compactMap { Int($0) })
        return settlements.enumerated().lazy.filter { !held.contains($0.offset + 1) }.map(\.element.fence)
    }
}

struct MissingDeadLetterQueue: Error {
    let name: QueueName
}

extension Settlement {
    /// Condemned says more than the kind of the attempt that led there: it is what keeps the message from running again.
    var journalWord: String {
        if case .condemned = outcome { outcome.word } else { attempt?.kind.rawValue ?? outcome.word }
    }
}

extension Outcome {
    var delay: Duration {
        switch self {
        case .done, .deadLetter: .zero
        case .retry(let after, _), .snooze(let after), .released(let after), .condemned(_, let after): after
        }
    }

    /// As the journal writes it.
    var word: String {
        switch self {
        case .done: "done"
        case .retry: "retry"
        case .deadLetter: "dead_letter"
        case .snooze: "snooze"
        case .released: "released"
        case .condemned: "condemned"
        }
    }

    var reason: String? {
        switch self {
        case .retry(_, let reason), .deadLetter(let reason), .condemned(let reason, _): reason
        case .done, .snooze, .released: nil
        }
    }
}

/// A reason as PostgreSQL takes it: no NUL, at most 8 kB. (A Swift string is valid UTF-8 already.)
enum Reason {
    static let limit = 8 << 10

    static func storable(_ text: String?) -> String? {
        guard let text else { return nil }
        let clean = text.utf8.contains(0) ? text.filter { $0 != "\0" } : text
        guard clean.utf8.count > limit else { return clean }
        // A character cut in two becomes a replacement character, which is valid.
        return String(decoding: clean.utf8.prefix(limit - 3), as: UTF8.self) + "…"
    }
}
