import CLibPQ

/// The PGconn pointer, and the libpq calls that want C arrays.
///
/// `@unchecked Sendable`, because it is handed from the handshake to the connection, and neither uses it while the other
/// does, which the compiler cannot see: to it a pointer is anybody's.
struct Handle: @unchecked Sendable {
    let pointer: OpaquePointer

    var errorMessage: String {
        Self.firstLine(String(cString: PQerrorMessage(pointer)))
    }

    /// libpq's texts end in a line break, and may go on over several lines.
    static func firstLine(_ text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingSpaces() }.joined(separator: "; ")
    }

    /// - Parameter name: of a prepared statement, to be used in place of the text.
    func send(_ statement: Statement, as name: String? = nil) -> Bool {
        let values = EncodedParameters(statement.parameters)
        let formats = [Int32](repeating: 1, count: values.count)
        return values.withPointers { pointers, lengths in
            guard let name else {
                return PQsendQueryParams(
                    pointer,
                    statement.sql,
                    Int32(values.count),
                    values.types,
                    pointers,
                    lengths,
                    formats,
                    1
                ) == 1
            }
            return PQsendQueryPrepared(pointer, name, Int32(values.count), pointers, lengths, formats, 1) == 1
        }
    }

    func prepare(_ statement: Statement, as name: String) -> Bool {
        let types = statement.parameters.map(\.type)
        return PQsendPrepare(pointer, name, statement.sql, Int32(types.count), types) == 1
    }

    func nextNotification() -> Notification? {
        guard let notify = PQnotifies(pointer) else { return nil }
        defer { PQfreemem(notify) }
        return Notification(
            channel: String(cString: notify.pointee.relname),
            payload: String(cString: notify.pointee.extra),
            sender: notify.pointee.be_pid
        )
    }
}

extension Substring {
    func trimmingSpaces() -> Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension PostgresError {
    /// - Parameter result: an error result; the caller keeps it and clears it.
    init(result: OpaquePointer) {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue ?? 0)).map { String(cString: $0) }
        }
        self.init(
            .server,
            sqlState: field("C").map(SQLState.init),
            message: field("M") ?? Handle.firstLine(String(cString: PQresultErrorMessage(result))),
            detail: field("D"),
            hint: field("H")
        )
    }
}
