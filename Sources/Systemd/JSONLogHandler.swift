import Logging

/// One JSON object a line, for collectors: `time`, `level`, `message`, `logger`, and the metadata beside them.
public struct JSONLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let descriptor: Int32

    public init(label: String, level: Logger.Level = .info, descriptor: Int32 = 2) {
        self.label = label
        self.logLevel = level
        self.descriptor = descriptor
        self.metadataProvider = LoggingSystem.metadataProvider
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let own: [(key: String, value: Logger.MetadataValue)] = [
            ("time", "\(LogTime.utc())"), ("level", "\(event.level.rawValue)"), ("message", "\(event.message)"),
            ("logger", "\(label)"),
        ]
        let taken = Set(own.map(\.key))
        let facts = event.fields(base: metadata, provider: metadataProvider).map { field in
            // An object with a key twice means something else to every reader.
            (key: taken.contains(field.key) ? field.key + "_" : field.key, value: field.value)
        }
        let pairs = (own + facts).map { JSONText.pair($0.key, $0.value) }
        LogLine.write("{" + pairs.joined(separator: ",") + "}", to: descriptor)
    }
}
