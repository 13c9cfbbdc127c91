import Logging

/// One JSON object: `time`, `level`, `message`, `logger`, and the metadata beside them.
struct JSONRendering: LogRendering {
    let label: String

    func record(of event: LogEvent, fields: [LogField]) -> LogRecord {
        let own: [(key: String, value: Logger.MetadataValue)] = [
            ("time", "\(LogTime.utc())"), ("level", "\(event.level.rawValue)"), ("message", "\(event.message)"),
            ("logger", "\(label)"),
        ]
        let taken = Set(own.map(\.key))
        let facts = fields.map { field in
            // An object with a key twice means something else to every reader.
            (key: taken.contains(field.key) ? field.key + "_" : field.key, value: field.value)
        }
        let pairs = (own + facts).map { JSONText.pair($0.key, $0.value) }
        return LogRecord(line: "{" + pairs.joined(separator: ",") + "}")
    }
}
