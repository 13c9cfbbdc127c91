import Logging

/// Lines that differ in nothing but details, so that one of them and a count can stand for many.
package struct LogKind: Hashable, Sendable {
    let level: Logger.Level
    let message: String
    /// Metadata that names the subject of a line: lines of two queues are of two kinds.
    package var queue: String?
    package var role: String?
    package var worker: String?

    package init(level: Logger.Level, message: String, queue: String? = nil) {
        self.level = level
        self.message = message
        self.queue = queue
    }

    /// Only the daemon's own lines are folded: of what a program's handlers log, nobody knows what may be left out.
    static func folds(label: String) -> Bool { label == "pgmqd" || label.hasPrefix("pgmqd.") }

    init(of event: LogEvent, by handler: some LogHandler) {
        self.init(level: event.level, message: event.message.description)
        let provided = handler.metadataProvider?.get()
        func value(_ key: String) -> String? {
            (event.metadata?[key] ?? provided?[key] ?? handler.metadata[key])?.description
        }
        queue = value("queue")
        role = value("role")
        worker = value("worker")
    }

    var subject: Logger.Metadata {
        ["queue": queue, "role": role, "worker": worker].compactMapValues { $0.map { "\($0)" } }
    }
}
