/// A queue's name as PGMQ keeps it, and the names that are derived from it.
public struct QueueName: Sendable, Hashable, CustomStringConvertible {
    /// The longest for which every name that PGMQ derives from it still fits PostgreSQL's 63 bytes.
    public static let longest = 47

    /// The name as it was written, which is how `pgmq.meta` may spell it.
    public let written: String
    /// Lower-cased, as PGMQ's tables are named.
    public let folded: String

    public init(_ written: String) {
        self.written = written
        folded = Self.folded(written)
    }

    public var description: String { folded }

    public var table: String { "q_" + folded }
    public var archive: String { "a_" + folded }

    /// The channel of our own doorbell.
    var doorbell: String { "pgmqd." + folded }

    /// The channels of PGMQ's own trigger: versions differ in whether they keep the letter case.
    var notifyChannels: [String] {
        let names = written == folded ? [folded] : [folded, written]
        return names.map { "pgmq.q_\($0).INSERT" }
    }

    // MARK: - PGMQ's rules

    /// Lower-cases as PGMQ does, which asks the database's `lower()`: one character becomes one character.
    ///
    /// Beyond ASCII the server's locale has the last word, so such a name is best written in lower case.
    public static func folded(_ name: String) -> String {
        var folded = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            let mapping = scalar.properties.lowercaseMapping.unicodeScalars
            folded.append(mapping.count == 1 ? mapping[mapping.startIndex] : scalar)
        }
        return String(folded)
    }

    public static func deadLetter(of name: String) -> String {
        folded(name) + "_dlq"
    }

    /// Why PGMQ, or a name derived by it, would not take this one; nil where nothing speaks against it.
    public static func objection(to name: String) -> String? {
        if name.isEmpty { return "a queue's name must not be empty" }
        for part in ["$", ";", "--", "'", "\0"] where name.unicodeScalars.contains(part.unicodeScalars) {
            return "a queue's name must not contain \(part == "\0" ? "NUL" : part); PGMQ refuses it"
        }
        let length = folded(name).utf8.count
        if length > longest { return "the name is \(length) bytes long; at most \(longest) are possible" }
        return nil
    }
}
