import Postgres

extension Inspection {
    public struct StoredMessage: Sendable {
        public let id: Int64
        public let readCount: Int
        public let enqueuedAt: String
        public let visibleAt: String
        /// JSON text; nil for an SQL NULL, and where the row cannot be read.
        public var body: String?
        public var headers: String?
        /// Why no claim can take it; nil where nobody has noted that.
        public let unclaimable: String?
        /// Why body and headers cannot be read.
        public var unreadable: String?
    }

    /// The messages that would be claimed next, and then the invisible ones.
    ///
    /// Bodies and headers are read in a second step. If that is refused for what may be one row's fault, they are read
    /// again row by row, and a row that is refused alone has the reason in place of its body.
    public func peek(
        _ queue: QueueName,
        limit: Int,
        id: Int64? = nil
    ) async throws(PostgresError) -> [StoredMessage] {
        let table = try await connection.quote(identifier: queue.table)
        let listed = try await list(queue, table, limit: limit, id: id)
        do throws(PostgresError) {
            return try await filled(listed, table)
        } catch {
            guard error.mayBeOneRow else { throw error }
        }
        var messages: [StoredMessage] = []
        for message in listed {
            do throws(PostgresError) {
                messages += try await filled([message], table)
            } catch {
                guard error.mayBeOneRow else { throw error }
                var message = message
                message.unreadable = error.description
                messages.append(message)
            }
        }
        return messages
    }

    /// Without bodies and headers.
    private func list(
        _ queue: QueueName,
        _ table: String,
        limit: Int,
        id: Int64?
    ) async throws(PostgresError) -> [StoredMessage] {
        let utc = #"'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"#
        var parameters: [Parameter] = [.int(Int64(limit)), id.map { .int($0) } ?? .null]
        var reason = "null::pg_catalog.text"
        if try await features(of: queue).readsJournal {
            reason = "(select coalesce(j.reason, '') from pgmqd.journal j where \(Self.isMark("$3")))"
            parameters.append(.text(queue.folded))
        }
        let rows = try await bounded(
            Statement(
                """
                select q.msg_id, q.read_ct, pg_catalog.to_char(q.enqueued_at at time zone 'UTC', \(utc)),
                    pg_catalog.to_char(q.vt at time zone 'UTC', \(utc)), \(reason)
                from pgmq.\(table) q where $2::bigint is null or q.msg_id operator(pg_catalog.=) $2
                order by q.vt, q.msg_id limit $1
                """,
                parameters
            )
        )
        return (0..<rows.count).map { row in
            StoredMessage(
                id: rows.int(row, 0),
                readCount: Int(rows.int(row, 1)),
                enqueuedAt: rows.text(row, 2) ?? "",
                visibleAt: rows.text(row, 3) ?? "",
                unclaimable: rows.text(row, 4)
            )
        }
    }

    /// The messages with their bodies and headers, without those that have left the queue meanwhile.
    private func filled(_ messages: [StoredMessage], _ table: String) async throws(PostgresError) -> [StoredMessage] {
        let rows = try await bounded(
            Statement(
                """
                select msg_id, message::pg_catalog.text, headers::pg_catalog.text from pgmq.\(table)
                where msg_id operator(pg_catalog.=) any($1)
                """,
                [.ints(messages.map(\.id))]
            )
        )
        let places = Dictionary((0..<rows.count).map { (rows.int($0, 0), $0) }) { first, _ in first }
        return messages.compactMap { message in
            guard let row = places[message.id] else { return nil }
            var message = message
            message.body = rows.text(row, 1)
            message.headers = rows.text(row, 2)
            return message
        }
    }
}

extension PostgresError {
    /// One row may be the cause: it is damaged, larger than the server can hold as text, or too slow to read.
    fileprivate var mayBeOneRow: Bool {
        guard kind == .server, let sqlState else { return false }
        return ["22", "53", "54", "58", "P0", "XX"].contains(sqlState.errorClass) || sqlState.code == "57014"
    }
}
