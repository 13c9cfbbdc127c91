import CSystemd
import Glibc

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

    /// - Returns: zero, or a negative errno. Without a journald the C library answers zero and drops the entry.
    func send() -> Int32 {
        var bytes: [UInt8] = []
        var lengths: [Int] = []
        for field in fields {
            bytes += field.utf8
            lengths.append(field.utf8.count)
        }
        return bytes.withUnsafeMutableBytes { buffer in
            var start = 0
            let vectors = lengths.map { length in
                defer { start += length }
                return iovec(iov_base: buffer.baseAddress?.advanced(by: start), iov_len: length)
            }
            return sd_journal_sendv(vectors, Int32(vectors.count))
        }
    }
}
