import Logging

/// Lines for a person at a terminal: time, level, message, `key=value`.
public struct TextLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let sink: LogSink
    private let folds: Bool

    public init(label: String = "pgmqd", level: Logger.Level = .info, sink: LogSink = .standardError) {
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
        sink.log(event, by: self, in: TextRendering(), folds: folds)
    }
}
