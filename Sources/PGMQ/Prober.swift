import Engine
import Postgres
import Synchronization

/// Looks at queues that sleep. The looks of the safety interval are for all of them at once: an idle daemon of many queues
/// asks no more often than one of a single.
final class Prober: Sendable {
    struct Member: Sendable {
        let queue: QueueName
        let table: String
        /// Rows that do not count, because no claim can take them.
        let passedOver: [Int64]
        let onWake: @Sendable (Wake) -> Void
    }

    private let sleepers = Mutex<[QueueName: Member]>([:])

    func fellAsleep(_ member: Member) {
        sleepers.withLock { $0[member.queue] = member }
    }

    func wokeUp(_ queue: QueueName) {
        sleepers.withLock { _ = $0.removeValue(forKey: queue) }
    }

    /// Looks at this queue and, besides, at the others that sleep, which are told what it saw of them.
    func probe(_ member: Member, besides: Bool, database: Database) async throws(PostgresError) -> Probe {
        let others = besides ? sleepers.withLock { $0.values.filter { $0.queue != member.queue } } : []
        do throws(PostgresError) {
            let probes = try await look([member] + others, database: database)
            for (other, probe) in zip(others, probes.dropFirst()) { other.onWake(.probed(probe)) }
            return probes[0]
        } catch  where error.kind == .server && !others.isEmpty {
            // One of the others spoils it: a queue that was dropped, a right that was taken.
            sleepers.withLock { $0 = [member.queue: member] }
            return try await look([member], database: database)[0]
        }
    }

    private func look(_ members: [Member], database: Database) async throws(PostgresError) -> [Probe] {
        var parameters = Parameters()
        let columns = members.indices.map { index in
            let passedOver = members[index].passedOver
            let others =
                passedOver.isEmpty
                ? "" : " where msg_id operator(pg_catalog.<>) all(\(parameters.add(.ints(passedOver))))"
            let table = parameters.add(.text(members[index].table))
            return """
                (select vt operator(pg_catalog.<=) pg_catalog.statement_timestamp()
                    from \(members[index].table)\(others) order by vt limit 1),
                (select extract(epoch from vt operator(pg_catalog.-) pg_catalog.clock_timestamp())::double precision
                    from \(members[index].table)
                    where vt operator(pg_catalog.>) pg_catalog.statement_timestamp()
                        and vt operator(pg_catalog.<) 'infinity' order by vt limit 1),
                \(table)::pg_catalog.regclass::pg_catalog.oid
                    operator(pg_catalog.=) any (select relation from writing)
                """
        }
        let statement = Statement(
            """
            with writing as materialized (
                select distinct relation from pg_catalog.pg_locks
                where locktype operator(pg_catalog.=) 'relation' and mode operator(pg_catalog.=) 'RowExclusiveLock'
                    and granted and pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
                    and database operator(pg_catalog.=) (
                        select oid from pg_catalog.pg_database
                        where datname operator(pg_catalog.=) pg_catalog.current_database()
                    )
            )
            select \(columns.joined(separator: ",\n"))
            """,
            parameters.values
        )
        let rows = try await database.work.use { connection async throws(PostgresError) in
            try await connection.transaction([statement], limits: database.limits()).rows[0]
        }
        return members.indices.map { index in
            Probe(
                hasVisible: !rows.isNull(0, index * 3) && rows.bool(0, index * 3),
                nextDue: rows.isNull(0, index * 3 + 1) ? nil : .seconds(max(0, rows.double(0, index * 3 + 1))),
                hasWriters: rows.bool(0, index * 3 + 2)
            )
        }
    }
}
