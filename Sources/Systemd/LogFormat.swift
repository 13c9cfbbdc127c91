import Glibc
import Logging

/// The shape of log output.
public enum LogFormat: String, Sendable, CaseIterable {
    /// The journal where standard error leads there, text on a terminal, JSON elsewhere.
    case auto
    case journal
    case text
    case json

    /// The format to write in, never `auto`; `journal` only where a journald listens, as entries would be lost without.
    public func resolved() -> LogFormat {
        switch self {
        case .text, .json: self
        case .journal where access("/run/systemd/journal/socket", W_OK) == 0: .journal
        case .auto where Self.standardErrorIsJournal(getenv("JOURNAL_STREAM").map { String(cString: $0) }): .journal
        case .auto, .journal: isatty(2) == 1 ? .text : .json
        }
    }

    /// What `LoggingSystem.bootstrap` takes.
    public func handlerFactory(
        level: Logger.Level = .info,
        sink: LogSink = .standardError
    ) -> @Sendable (String) -> any LogHandler {
        let format = resolved()
        return { label in
            switch format {
            case .journal: JournalLogHandler(label: label, level: level, sink: sink)
            case .text: TextLogHandler(label: label, level: level, sink: sink)
            case .json, .auto: JSONLogHandler(label: label, level: level, sink: sink)
            }
        }
    }

    /// Whether the variable's `device:inode` is standard error: a child whose output is redirected inherits the
    /// variable too.
    package static func standardErrorIsJournal(_ stream: String?) -> Bool {
        let parts = (stream ?? "").split(separator: ":").compactMap { UInt64($0) }
        var info = stat()
        guard parts.count == 2, fstat(2, &info) == 0 else { return false }
        return UInt64(info.st_dev) == parts[0] && UInt64(info.st_ino) == parts[1]
    }
}
