import Logging

/// Native entries of the journal: `journalctl PGMQD_QUEUE=emails` finds them by their metadata.
public struct JournalLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let rendering: JournalRendering
    private let sink: LogSink
    private let folds: Bool

    public init(label: String, level: Logger.Level = .info, sink: LogSink = .standardError) {
        self.rendering = JournalRendering(label: label)
        self.logLevel = level
        self.sink = sink
        folds = LogKind.folds(label: label)
        self.metadataProvider = LoggingSystem.metadataProvider
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        sink.log(event, by: self, in: rendering, folds: folds)
    }

    package func entry(for event: LogEvent) -> JournalEntry {
        rendering.entry(for: event, fields: event.fields(base: metadata, provider: metadataProvider))
    }
}
