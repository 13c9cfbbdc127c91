/// The fields of one entry of the journal.
package struct JournalEntry {
    /// `NAME=value`; a value may hold any byte.
    package private(set) var fields: [String] = []

    package init() {}

    package mutating func append(_ name: String, _ value: String) {
        fields.append("\(name)=\(value)")
    }

    /// A name journald accepts: capitals, digits and underscores, at most 64 bytes, with our prefix in front.
    package static func fieldName(_ key: String) -> String {
        let body = key.unicodeScalars.map { scalar -> Character in
            let letter = Character(scalar)
            guard letter.isASCII, letter.isLetter || letter.isNumber else { return "_" }
            return Character(letter.uppercased())
        }
        return String(("PGMQD_" + String(body)).prefix(64))
    }

    /// The entry as journald reads it: a value with a line break in it has its length in front.
    package var datagram: [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            let parts = field.utf8.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            if let name = parts.first, let value = parts.last, value.contains(UInt8(ascii: "\n")) {
                bytes += name
                bytes.append(UInt8(ascii: "\n"))
                withUnsafeBytes(of: UInt64(value.count).littleEndian) { bytes += $0 }
                bytes += value
            } else {
                bytes += field.utf8
            }
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }
}
