import CLibPQ

/// The PGconn pointer, and the libpq calls that want C arrays.
struct Handle: @unchecked Sendable {
    // Sendable: used only on the dispatch queue of the connection that owns it.
    let pointer: OpaquePointer

    var errorMessage: String {
        Self.firstLine(String(cString: PQerrorMessage(pointer)))
    }

    /// libpq's texts end in a line break, and may go on over several lines.
    static func firstLine(_ text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingSpaces() }.joined(separator: "; ")
    }

    func send(_ statement: Statement) -> Bool {
        let values = statement.parameters.map(\.encoded)
        let types = statement.parameters.map(\.type)
        let lengths = values.map { Int32($0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: values.count)
        return withPointers(to: values) { pointers in
            PQsendQueryParams(pointer, statement.sql, Int32(values.count), types, pointers, lengths, formats, 1) == 1
        }
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

    /// The values stay where they are while the closure runs: they are copied into one block.
    private func withPointers<R>(to values: [[UInt8]?], _ body: ([UnsafePointer<CChar>?]) -> R) -> R {
        var block: [CChar] = []
        var offsets: [Int?] = []
        block.reserveCapacity(values.reduce(1) { $0 + ($1?.count ?? 0) + 1 })
        for value in values {
            offsets.append(value == nil ? nil : block.count)
            if let value {
                value.withUnsafeBytes { block.append(contentsOf: $0.bindMemory(to: CChar.self)) }
                // An empty value needs an address of its own: NULL would be SQL's.
                block.append(0)
            }
        }
        return block.withUnsafeBufferPointer { buffer in
            body(offsets.map { offset in offset.flatMap { buffer.baseAddress?.advanced(by: $0) } })
        }
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
