import Engine

/// PostgreSQL counts microseconds from 2000-01-01; the engine from 1970-01-01. The extremes are the infinities, on both
/// sides.
enum ServerTime {
    static let epoch: Int64 = 946_684_800_000_000

    static func timestamp(_ microseconds: Int64) -> Timestamp {
        if microseconds == .min || microseconds == .max { return Timestamp(microseconds: microseconds) }
        let (sum, overflow) = microseconds.addingReportingOverflow(epoch)
        return Timestamp(microseconds: overflow ? .max : sum)
    }

    static func microseconds(_ timestamp: Timestamp) -> Int64 {
        if timestamp.microseconds == .min || timestamp.microseconds == .max { return timestamp.microseconds }
        let (difference, overflow) = timestamp.microseconds.subtractingReportingOverflow(epoch)
        return overflow ? .min : difference
    }
}
