import Logging

/// Native entries of the journal: `journalctl PGMQD_QUEUE=emails` finds them by their metadata.
public struct JournalLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String

    public init(label: String, level: Logger.Level = .info) {
        self.label = label
        self.logLevel = level
        self.metadataProvider = LoggingSystem.metadataProvider
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let entry = entry(for: event)
        if entry.send() < 0 {
            // sd-daemon(3): journald reads a priority from the start of a line on standard error.
            let facts = LogText.suffix(event.fields(base: metadata, provider: metadataProvider))
            LogLine.write("<\(event.level.priority)>\(LogText.escaped("\(event.message)"))\(facts)", to: 2)
        }
    }

    package func entry(for event: LogEvent) -> JournalEntry {
        let fields = event.fields(base: metadata, provider: metadataProvider)
        var entry = JournalEntry()
        // The facts stand in the text as well: plain `journalctl -u pgmqd` shows nothing else.
        entry.append("MESSAGE", LogText.escaped("\(event.message)") + LogText.suffix(fields))
        entry.append("PRIORITY", "\(event.level.priority)")
        entry.append("SYSLOG_IDENTIFIER", "pgmqd")
        entry.append("CODE_FILE", event.file)
        entry.append("CODE_LINE", "\(event.line)")
        entry.append("CODE_FUNC", event.function)
        entry.append("PGMQD_LOGGER", label)
        for (key, value) in fields {
            switch value {
            case .string(let text): entry.append(JournalEntry.fieldName(key), text)
            case .stringConvertible(let other): entry.append(JournalEntry.fieldName(key), other.description)
            case .array, .dictionary: entry.append(JournalEntry.fieldName(key), JSONText.value(value))
            }
        }
        return entry
    }
}

extension Logger.Level {
    /// As in syslog(3).
    var priority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
