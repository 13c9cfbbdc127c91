/// The text of a configuration for a test's daemon: one queue, worked by LedgerDaemon's handler unless told otherwise.
public struct Settings: Sendable {
    public var url: String
    public var queues: [String]
    /// Lines for `[database]` and `[daemon]`.
    public var database: [String] = ["call_deadline = \"500ms\""]
    public var daemon: [String] = ["log_format = \"json\""]

    public init(
        _ database: TestDatabase,
        queue: String,
        handler: String = "{ swift = \"ledger\" }",
        workers: Int = 8,
        visibilityTimeout: String = "2s",
        callDeadline: String = "500ms",
        extra: [String] = []
    ) {
        self.init(url: database.url)
        self.database = ["call_deadline = \"\(callDeadline)\""]
        add(queue: queue, handler: handler, workers: workers, visibilityTimeout: visibilityTimeout, extra: extra)
    }

    /// Where the test waits for no lease's end: on a busy machine none ends, and no call is given up.
    public static func patient(
        _ database: TestDatabase,
        queue: String,
        handler: String = "{ swift = \"ledger\" }",
        workers: Int = 8,
        extra: [String] = []
    ) -> Settings {
        Settings(
            database,
            queue: queue,
            handler: handler,
            workers: workers,
            visibilityTimeout: "60s",
            callDeadline: "15s",
            extra: extra
        )
    }

    public init(url: String) {
        self.url = url
        queues = []
    }

    /// The same daemon, with a folder for its crash traces.
    public func keepingState(in folder: TestFolder) -> Settings {
        var settings = self
        settings.daemon.append("state_directory = \"\(folder.path)\"")
        return settings
    }

    public mutating func add(
        queue: String,
        handler: String = "{ swift = \"ledger\" }",
        workers: Int = 8,
        visibilityTimeout: String = "2s",
        extra: [String] = []
    ) {
        let lines =
            ["[[queue]]", "name = \"\(queue)\"", "workers = \(workers)", "handler = \(handler)"]
            + ["visibility_timeout = \"\(visibilityTimeout)\""] + extra
        queues.append(lines.joined(separator: "\n"))
    }

    public var text: String {
        (["[database]", "url = \"\(url)\""] + database + ["[daemon]"] + daemon + queues).joined(separator: "\n") + "\n"
    }
}
