import Logging

/// Lines for a person at a terminal: time, level, message, `key=value`.
public struct TextLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let descriptor: Int32

    public init(level: Logger.Level = .info, descriptor: Int32 = 2) {
        self.logLevel = level
        self.descriptor = descriptor
        self.metadataProvider = LoggingSystem.metadataProvider
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let level = event.level.rawValue.padding(to: 8)
        let facts = LogText.suffix(event.fields(base: metadata, provider: metadataProvider))
        LogLine.write("\(LogTime.local()) \(level) \(LogText.escaped("\(event.message)"))\(facts)", to: descriptor)
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
