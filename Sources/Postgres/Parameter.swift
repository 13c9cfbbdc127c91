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
    /// Rows' places, as ``Rows/place(_:_:)`` has them.
    case places([UInt64])
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
        case .places: 1010
        case .texts: 1009
        case .jsons: 3807
        }
    }

    /// Appends the binary value.
    /// - Returns: false for NULL, which has none.
    func encode(into out: inout [UInt8]) -> Bool {
        switch self {
        case .null: return false
        case .bool(let value): out.append(value ? 1 : 0)
        case .int(let value), .timestamp(let value): out.append(bigEndian: value)
        case .double(let value): out.append(bigEndian: value.bitPattern)
        case .text(let value): out.append(contentsOf: value.utf8)
        case .json(let value): out.append(json: value)
        case .bools(let values): out.append(array: values.map { $0 ? UInt8(1) : 0 }, of: 16)
        case .ints(let values): out.append(array: values, of: 20)
        case .timestamps(let values): out.append(array: values, of: 1184)
        case .int4s(let values): out.append(array: values, of: 23)
        case .places(let values): out.append(places: values)
        case .texts(let values): out.append(array: values, of: 25) { $0.append(contentsOf: $1.utf8) }
        case .jsons(let values): out.append(array: values, of: 3802) { $0.append(json: $1) }
        }
        return true
    }
}

/// Parameters as libpq wants them: all values in one block of bytes.
struct EncodedParameters {
    let types: [Oid]
    private var block: [UInt8] = []
    private var ranges: [Range<Int>?] = []

    var count: Int { types.count }

    init(_ parameters: [Parameter]) {
        types = parameters.map(\.type)
        for parameter in parameters {
            let start = block.count
            let isValue = parameter.encode(into: &block)
            ranges.append(isValue ? start..<block.count : nil)
        }
        // An empty value needs an address of its own, inside the block: NULL would be SQL's.
        block.append(0)
    }

    /// The values stay where they are while the closure runs.
    func withPointers<R>(_ body: ([UnsafePointer<CChar>?], [Int32]) -> R) -> R {
        block.withUnsafeBytes { buffer in
            let base = buffer.bindMemory(to: CChar.self).baseAddress
            return body(
                ranges.map { range in range.flatMap { base?.advanced(by: $0.lowerBound) } },
                ranges.map { Int32($0?.count ?? 0) }
            )
        }
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func append(json value: [UInt8]) {
        append(1)
        append(contentsOf: value)
    }

    private mutating func append(headerOf element: Int32, count: Int, nulls: Bool) {
        append(bigEndian: Int32(count == 0 ? 0 : 1))
        append(bigEndian: Int32(nulls ? 1 : 0))
        append(bigEndian: element)
        guard count > 0 else { return }
        append(bigEndian: Int32(count))
        append(bigEndian: Int32(1))
    }

    /// A settlement's arrays are as long as its batch: they are written in place, and not byte by byte.
    fileprivate mutating func append<T: FixedWidthInteger>(array values: [T], of element: Int32) {
        append(headerOf: element, count: values.count, nulls: false)
        let (start, size) = (count, MemoryLayout<T>.size)
        append(contentsOf: repeatElement(0, count: values.count * (4 + size)))
        withUnsafeMutableBytes { buffer in
            var place = start
            for value in values {
                buffer.storeBytes(of: Int32(size).bigEndian, toByteOffset: place, as: Int32.self)
                buffer.storeBytes(of: value.bigEndian, toByteOffset: place + 4, as: T.self)
                place += 4 + size
            }
        }
    }

    fileprivate mutating func append(places: [UInt64]) {
        append(headerOf: 27, count: places.count, nulls: false)
        let start = count
        append(contentsOf: repeatElement(0, count: places.count * 10))
        withUnsafeMutableBytes { buffer in
            var offset = start
            for place in places {
                buffer.storeBytes(of: Int32(6).bigEndian, toByteOffset: offset, as: Int32.self)
                let block = UInt32(truncatingIfNeeded: place >> 16)
                buffer.storeBytes(of: block.bigEndian, toByteOffset: offset + 4, as: UInt32.self)
                buffer.storeBytes(
                    of: UInt16(truncatingIfNeeded: place).bigEndian,
                    toByteOffset: offset + 8,
                    as: UInt16.self
                )
                offset += 10
            }
        }
    }

    fileprivate mutating func append<T>(
        array values: [T?],
        of element: Int32,
        _ encode: (inout [UInt8], T) -> Void
    ) {
        append(headerOf: element, count: values.count, nulls: values.contains { $0 == nil })
        for value in values {
            let lengthAt = count
            append(bigEndian: Int32(-1))
            guard let value else { continue }
            encode(&self, value)
            let length = Int32(count - lengthAt - 4)
            withUnsafeMutableBytes { $0.storeBytes(of: length.bigEndian, toByteOffset: lengthAt, as: Int32.self) }
        }
    }
}
