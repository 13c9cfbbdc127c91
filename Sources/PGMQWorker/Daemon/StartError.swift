/// Why a daemon cannot run at all. Everything that can pass by itself is waited for instead.
public enum StartError: Error, Sendable, CustomStringConvertible {
    case handler(queue: String, reason: String)
    /// The server answered, and refuses this user or database.
    case databaseRefused(String)

    public var description: String {
        switch self {
        case .handler(let queue, let reason): "queue \"\(queue)\": \(reason)"
        case .databaseRefused(let reason): "the database refuses the connection: \(reason); see database.url"
        }
    }
}
