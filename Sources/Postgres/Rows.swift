import CLibPQ

/// The rows that one statement returned, in binary format.
///
/// Reads are unchecked against the column's type: the statement is ours, and its casts decide what arrives.
///
/// `@unchecked Sendable`, because a PGresult is never changed once libpq has handed it over, and this object alone
/// frees it.
public final class Rows: @unchecked Sendable {
    private let result: OpaquePointer
    public let count: Int
    /// Rows returned, or rows that a command without RETURNING touched.
    public let affected: Int

    init(taking result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
        affected = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
    }

    deinit {
        PQclear(result)
    }

    public func isNull(_ row: Int, _ column: Int) -> Bool {
        PQgetisnull(result, Int32(row), Int32(column)) == 1
    }

    public func int(_ row: Int, _ column: Int) -> Int64 {
        switch length(row, column) {
        case 8: load(row, column, as: Int64.self)
        case 4: Int64(load(row, column, as: Int32.self))
        case 2: Int64(load(row, column, as: Int16.self))
        default: 0
        }
    }

    public func bool(_ row: Int, _ column: Int) -> Bool {
        length(row, column) == 1 && value(row, column).load(as: UInt8.self) == 1
    }

    public func double(_ row: Int, _ column: Int) -> Double {
        length(row, column) == 8 ? Double(bitPattern: load(row, column, as: UInt64.self)) : 0
    }

    /// Microseconds since 2000-01-01 UTC.
    public func timestamp(_ row: Int, _ column: Int) -> Int64 {
        int(row, column)
    }

    /// A `tid`: the block, and in the lowest sixteen bits the number in it.
    public func place(_ row: Int, _ column: Int) -> UInt64? {
        guard length(row, column) == 6 else { return nil }
        let value = value(row, column)
        let block = UInt32(bigEndian: value.loadUnaligned(as: UInt32.self))
        let number = UInt16(bigEndian: value.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
        return UInt64(block) << 16 | UInt64(number)
    }

    /// The bytes of a `text` (not of a `jsonb`, which has a version byte before them); nil for NULL.
    public func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
        guard !isNull(row, column) else { return nil }
        return Array(UnsafeRawBufferPointer(start: value(row, column), count: length(row, column)))
    }

    public func text(_ row: Int, _ column: Int) -> String? {
        guard !isNull(row, column) else { return nil }
        return String(
            decoding: UnsafeRawBufferPointer(start: value(row, column), count: length(row, column)),
            as: UTF8.self
        )
    }

    private func length(_ row: Int, _ column: Int) -> Int {
        precondition(row < count, "row \(row) of \(count)")
        return Int(PQgetlength(result, Int32(row), Int32(column)))
    }

    private func value(_ row: Int, _ column: Int) -> UnsafeRawPointer {
        guard let pointer = PQgetvalue(result, Int32(row), Int32(column)) else {
            preconditionFailure("no column \(column)")
        }
        return UnsafeRawPointer(pointer)
    }

    private func load<T: FixedWidthInteger>(_ row: Int, _ column: Int, as type: T.Type) -> T {
        T(bigEndian: value(row, column).loadUnaligned(as: type))
    }
}
