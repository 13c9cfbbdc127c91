import Logging

/// An entry of the journal, and a line for standard error where journald does not take that.
struct JournalRendering: LogRendering {
    let label: String

    func record(of event: LogEvent, fields: [LogField]) -> LogRecord {
        let text = text(of: event, fields)
        // sd-daemon(3): journald reads a priority from the start of a line on standard error.
        let line = "<\(event.level.priority)>\(text)"
        return LogRecord(line: line, datagram: entry(for: event, text, fields).datagram)
    }

    func entry(for event: LogEvent, fields: [LogField]) -> JournalEntry {
        entry(for: event, text(of: event, fields), fields)
    }

    /// The facts are in the text as well, because plain `journalctl -u pgmqd` shows nothing else.
    private func text(of event: LogEvent, _ fields: [LogField]) -> String {
        LogText.escaped("\(event.message)") + LogText.suffix(fields)
    }

    private func entry(for event: LogEvent, _ text: String, _ fields: [LogField]) -> JournalEntry {
        var entry = JournalEntry()
        entry.append("MESSAGE", text)
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
