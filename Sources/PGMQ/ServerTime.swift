import Engine

/// PostgreSQL counts microseconds from 2000-01-01; the engine from 1970-01-01.
enum ServerTime {
    static let epoch: Int64 = 946_684_800_000_000

    static func timestamp(_ microseconds: Int64) -> Timestamp {
        Timestamp(microseconds: microseconds == .min ? .min : microseconds + epoch)
    }

    /// The extreme is PostgreSQL's -infinity.
    static func microseconds(_ timestamp: Timestamp) -> Int64 {
        timestamp.microseconds == .min ? .min : timestamp.microseconds - epoch
    }
}
