import Logging

/// One JSON object a line, for collectors: `time`, `level`, `message`, `logger`, and the metadata beside them.
public struct JSONLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let rendering: JSONRendering
    private let sink: LogSink
    private let folds: Bool

    public init(label: String, level: Logger.Level = .info, sink: LogSink = .standardError) {
        self.rendering = JSONRendering(label: label)
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
}
