import Logging

/// A line that the log says of itself. The writer renders it, so that it has the time at which it is written.
struct LogNotice: Sendable {
    let rendering: any LogRendering
    private(set) var event: LogEvent

    init(rendering: any LogRendering, event: LogEvent) {
        self.rendering = rendering
        self.event = event
    }

    /// A line of this kind, without the details in which the lines of the kind differ.
    init(_ event: LogEvent, of kind: LogKind, by handler: some LogHandler, in rendering: some LogRendering) {
        self.init(rendering: rendering, event: event)
        self.event.metadata = handler.metadata.merging(kind.subject) { _, new in new }
        self.event.error = nil
    }

    static func dropped(_ lines: Int, rendering: any LogRendering) -> LogNotice {
        let event = LogEvent(
            level: .warning,
            message: "log lines dropped, because nobody read them or they could not be written",
            metadata: ["dropped": .stringConvertible(lines)],
            source: nil,
            file: #fileID,
            function: #function,
            line: #line
        )
        return LogNotice(rendering: rendering, event: event)
    }

    /// The notice with how many lines it stands for, and the time within which they came.
    func counting(_ lines: Int, within span: Duration) -> LogNotice {
        let (seconds, attoseconds) = span.components
        var notice = self
        notice.event.metadata?["folded"] = .stringConvertible(lines)
        notice.event.metadata?["for"] = "\(seconds + (attoseconds > 0 ? 1 : 0))s"
        return notice
    }

    func record() -> LogRecord {
        rendering.record(of: event, fields: event.fields(base: [:], provider: nil))
    }
}
