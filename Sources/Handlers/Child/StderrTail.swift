/// The end of what a child wrote to standard error, fit for a reason.
struct StderrTail {
    /// Below the 8 kB that a reason may have, for what stands in front of it.
    static let limit = 8000

    private var bytes: [UInt8] = []
    private var isCut = false

    mutating func append(_ chunk: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: chunk)
        // Cut seldom, not at every chunk.
        if bytes.count > 4 * Self.limit {
            bytes.removeFirst(bytes.count - Self.limit)
            isCut = true
        }
    }

    /// Valid UTF-8 of at most ``limit`` bytes; no control characters but line feed and tab; no white space around it.
    var text: String {
        var tail = bytes.suffix(Self.limit)
        if isCut || tail.count < bytes.count {
            // Not the rest of a character whose beginning is gone.
            tail = tail.drop { $0 & 0b1100_0000 == 0b1000_0000 }
        }
        var kept: [Unicode.Scalar] = []
        var size = 0
        // From the end: what is not UTF-8 grows when it is replaced.
        for scalar in String(decoding: tail, as: UTF8.self).unicodeScalars.reversed() where Self.isPlain(scalar) {
            if kept.isEmpty, scalar.properties.isWhitespace { continue }
            size += UTF8.width(scalar)
            if size > Self.limit { break }
            kept.append(scalar)
        }
        while let first = kept.last, first.properties.isWhitespace {
            kept.removeLast()
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: kept.reversed())
        return String(text)
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\n" || scalar == "\t" || scalar.properties.generalCategory != .control
    }
}
