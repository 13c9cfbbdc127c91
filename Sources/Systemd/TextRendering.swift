import Logging

/// Time, level, message, `key=value`.
struct TextRendering: LogRendering {
    func record(of event: LogEvent, fields: [LogField]) -> LogRecord {
        let level = event.level.rawValue.padding(to: 8)
        let message = LogText.escaped("\(event.message)")
        return LogRecord(line: "\(LogTime.local()) \(level) \(message)\(LogText.suffix(fields))")
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
