import Foundation
import Glibc

/// Data goes to standard output, everything else to standard error.
enum Output {
    /// - Throws: a failure without words where whoever read has gone: `head` has seen enough.
    static func line(_ text: String) throws(Failure) {
        switch StandardStreams.write(text, to: STDOUT_FILENO) {
        case 0: return
        case EPIPE: throw .silent
        case let code: throw .failed("cannot write to standard output: \(String(cString: strerror(code)))")
        }
    }

    /// Where nobody can be told, there is nothing left to do.
    static func complain(_ text: String) {
        _ = StandardStreams.write(text, to: STDERR_FILENO)
    }

    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Columns as wide as their widest cell; numbers to the right.
    static func table(_ header: [String], _ rows: [[String]]) throws(Failure) {
        let all = [header] + rows.map { $0.map(printable) }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let numeric = header.indices.map { column in
            !rows.isEmpty && rows.allSatisfy { Double($0[column]) != nil || $0[column] == "-" }
        }
        for row in all {
            let cells = row.indices.map { column -> String in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return numeric[column] ? padding + row[column] : row[column] + padding
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            try self.line(line)
        }
    }

    /// What comes from a message must not move the cursor of who reads it.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }
            )
        )
    }
}
