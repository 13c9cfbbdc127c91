/// One event as it is written.
struct LogRecord: Sendable {
    /// Without its line break. Beside a datagram, the line for standard error where journald does not take that.
    let line: String
    /// An entry of the journal.
    var datagram: [UInt8]?

    var size: Int { line.utf8.count + 1 + (datagram?.count ?? 0) }
}
