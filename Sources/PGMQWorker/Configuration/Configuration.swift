/// Everything the daemon is told, whole and free of contradictions where ``load(path:environment:)`` made it.
public struct Configuration: Sendable, Equatable {
    public var database: Database
    public var daemon: Daemon
    public var admin: Admin
    /// In the order of the files; no two of one name.
    public var queues: [QueueConfiguration]

    public init(
        database: Database,
        daemon: Daemon = Daemon(),
        admin: Admin = Admin(),
        queues: [QueueConfiguration]
    ) {
        self.database = database
        self.daemon = daemon
        self.admin = admin
        self.queues = queues
    }
}
