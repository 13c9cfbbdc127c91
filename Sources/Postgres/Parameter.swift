import CLibPQ

/// A statement's parameter, sent in PostgreSQL's binary format.
public enum Parameter: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case text(String)
    /// JSON text as bytes, sent as `jsonb`.
    case json([UInt8])
    /// Microseconds since 2000-01-01 UTC, PostgreSQL's own count; the extremes are ±infinity.
    case timestamp(Int64)
    case bools([Bool])
    case ints([Int64])
    case int4s([Int32])
    case timestamps([Int64])
    /// An array of `text`; nil is NULL.
    case texts([String?])
    /// An array of `jsonb`; nil is NULL.
    case jsons([[UInt8]?])

    var type: Oid {
        switch self {
        case .null: 0
        case .bool: 16
        case .int: 20
        case .double: 701
        case .text: 25
        case .json: 3802
        case .timestamp: 1184
        case .bools: 1000
        case .ints: 1016
        case .int4s: 1007
        case .timestamps: 1185
        case .texts: 1009
        case .jsons: 3807
        }
    }

    /// The binary value; nil for NULL.
    var encoded: [UInt8]? {
        switch self {
        case .null:
            return nil
        case .bool(let value):
            return [value ? 1 : 0]
        case .int(let value), .timestamp(let value):
            return [UInt8](bigEndian: value)
        case .double(let value):
            return [UInt8](bigEndian: value.bitPattern)
        case .text(let value):
            return Array(value.utf8)
        case .json(let value):
            return [1] + value
        case .bools(let values):
            return Self.array(of: 16, values, size: 1) { $1.append($0 ? 1 : 0) }
        case .ints(let values):
            return Self.array(of: 20, values, size: 8) { $1.append(bigEndian: $0) }
        case .timestamps(let values):
            return Self.array(of: 1184, values, size: 8) { $1.append(bigEndian: $0) }
        case .int4s(let values):
            return Self.array(of: 23, values, size: 4) { $1.append(bigEndian: $0) }
        case .texts(let values):
            return Self.array(of: 25, values.map { $0.map { Array($0.utf8) } })
        case .jsons(let values):
            return Self.array(of: 3802, values.map { $0.map { [1] + $0 } })
        }
    }

    private static func header(of element: Int32, count: Int, nulls: Bool, bytes: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(20 + bytes)
        out.append(bigEndian: Int32(count == 0 ? 0 : 1))
        out.append(bigEndian: Int32(nulls ? 1 : 0))
        out.append(bigEndian: element)
        guard count > 0 else { return out }
        out.append(bigEndian: Int32(count))
        out.append(bigEndian: Int32(1))
        return out
    }

    private static func array<T>(
        of element: Int32,
        _ values: [T],
        size: Int,
        _ append: (T, inout [UInt8]) -> Void
    ) -> [UInt8] {
        var out = header(of: element, count: values.count, nulls: false, bytes: values.count * (4 + size))
        for value in values {
            out.append(bigEndian: Int32(size))
            append(value, &out)
        }
        return out
    }

    private static func array(of element: Int32, _ values: [[UInt8]?]) -> [UInt8] {
        let bytes = values.reduce(0) { $0 + 4 + ($1?.count ?? 0) }
        var out = header(of: element, count: values.count, nulls: values.contains { $0 == nil }, bytes: bytes)
        for value in values {
            guard let value else {
                out.append(bigEndian: Int32(-1))
                continue
            }
            out.append(bigEndian: Int32(value.count))
            out.append(contentsOf: value)
        }
        return out
    }
}

extension [UInt8] {
    init(bigEndian value: some FixedWidthInteger) {
        self = Swift.withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
