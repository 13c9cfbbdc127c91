import Engine
import Postgres

/// One partition of a queue that holds rows itself, as the catalog has it.
struct Partition: Sendable, Equatable {
    let oid: Int64
    /// Quoted, with the schema.
    let table: String
    /// The session's role may claim and settle on the partition itself.
    let isWorkable: Bool
    /// The range of its key, as a condition on rows `q` of the parent; nil for the default partition, which has none.
    let range: String?
}

/// Where a statement on a queue finds its rows.
struct QueueTable: Sendable, Equatable {
    let name: String
    /// A further condition on the rows `q`, by which the server leaves the other partitions out; empty: none.
    let condition: String
    /// All its rows lie in one table, so that a place names one row.
    let hasPlaces: Bool

    /// The condition behind others.
    var andCondition: String { condition.isEmpty ? "" : " and " + condition }
}

/// Numbers the partitions of a queue, for the fences of its leases, and knows which are there.
///
/// Through the parent every statement pays for all partitions, pruned or not. So what was claimed from a partition is
/// renewed and settled on it: on the table itself where the role may, else through the parent with the partition's range.
struct Partitions: Sendable {
    private var numbers: [Int64: UInt16] = [:]
    private var tables: [UInt16: QueueTable] = [:]
    private var last: UInt16 = 0
    /// Every partition of the catalog has a number: a row of one without was made since.
    private(set) var isComplete = false

    /// Takes over what the catalog says now. Numbers stay what they are for the life of the process.
    /// - Returns: how many partitions are gone: dropped or detached.
    @discardableResult
    mutating func update(_ partitions: [Partition], of parent: String) -> Int {
        let before = tables.count
        var kept = 0
        var now: [UInt16: QueueTable] = [:]
        defer { isComplete = !partitions.isEmpty && now.count == partitions.count }
        for partition in partitions {
            guard let table = Self.table(partition, of: parent), let number = number(for: partition.oid)
            else { continue }
            if tables[number] != nil { kept += 1 }
            now[number] = table
        }
        tables = now
        return before - kept
    }

    private static func table(_ partition: Partition, of parent: String) -> QueueTable? {
        if partition.isWorkable { return QueueTable(name: partition.table, condition: "", hasPlaces: true) }
        return partition.range.map { QueueTable(name: parent, condition: $0, hasPlaces: true) }
    }

    private mutating func number(for oid: Int64) -> UInt16? {
        if let number = numbers[oid] { return number }
        // A process that sees so many goes through the parent for the rest.
        guard last < .max else { return nil }
        last += 1
        numbers[oid] = last
        return last
    }

    /// - Returns: 0 where the partition is not known, or has to be worked through the parent.
    func number(of oid: Int64) -> UInt16 {
        guard let number = numbers[oid], tables[number] != nil else { return 0 }
        return number
    }

    /// - Returns: nil for a partition that is gone.
    subscript(number: UInt16) -> QueueTable? { tables[number] }
}

extension Partition {
    /// The partitions of a queue, at whatever depth.
    static func load(
        _ queue: QueueName,
        on connection: Connection,
        limits: Limits
    ) async throws(PostgresError) -> [Partition] {
        let statement = Statement(
            """
            select m.oid::bigint, m.nspname::pg_catalog.text, m.relname::pg_catalog.text, m.workable,
                m.attname::pg_catalog.text, pg_catalog.quote_literal(m.bounds[1]), pg_catalog.quote_literal(m.bounds[2]),
                m.type
            from (
                select l.oid, n.nspname, l.relname,
                    pg_catalog.has_table_privilege(l.oid, 'SELECT') and pg_catalog.has_table_privilege(l.oid, 'DELETE')
                        and pg_catalog.has_any_column_privilege(l.oid, 'UPDATE')
                        and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                        and not pg_catalog.row_security_active(l.oid) as workable,
                    a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
                    case when k.partnatts = 1 and t.level = 1 then pg_catalog.regexp_match(
                        pg_catalog.pg_get_expr(l.relpartbound, l.oid),
                        '^FOR VALUES FROM [(]''?([^'')]*)''?[)] TO [(]''?([^'')]*)''?[)]$'
                    ) end as bounds
                from pg_catalog.pg_class c
                join pg_catalog.pg_namespace s on s.oid = c.relnamespace
                join pg_catalog.pg_partitioned_table k on k.partrelid = c.oid
                join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.partattrs[0]
                join pg_catalog.pg_partition_tree(c.oid) t on t.isleaf
                join pg_catalog.pg_class l on l.oid = t.relid
                join pg_catalog.pg_namespace n on n.oid = l.relnamespace
                where s.nspname = 'pgmq' and c.relname = $1 and c.relkind = 'p' and l.relkind = 'r'
            ) m order by m.oid
            """,
            [.text(queue.table)]
        )
        let rows = try await connection.transaction([.catalogPath, statement], limits: limits).rows[1]
        var partitions: [Partition] = []
        for row in 0..<rows.count {
            let schema = try await connection.quote(identifier: rows.text(row, 1) ?? "")
            let table = try await connection.quote(identifier: rows.text(row, 2) ?? "")
            var range: [String] = []
            if let low = rows.text(row, 5), let high = rows.text(row, 6) {
                let key = "q." + (try await connection.quote(identifier: rows.text(row, 4) ?? ""))
                // The server's own words for a type, of `bigint` or of a time.
                let type = rows.text(row, 7) == "bigint" ? "bigint" : "timestamp with time zone"
                if low != "'MINVALUE'" { range.append("\(key) operator(pg_catalog.>=) \(low)::\(type)") }
                if high != "'MAXVALUE'" { range.append("\(key) operator(pg_catalog.<) \(high)::\(type)") }
            }
            partitions.append(
                Partition(
                    oid: rows.int(row, 0),
                    table: "\(schema).\(table)",
                    isWorkable: rows.bool(row, 3),
                    range: range.isEmpty ? nil : range.joined(separator: " and ")
                )
            )
        }
        return partitions
    }
}
