import Engine
import Glibc

/// The environment of a command: chosen variables alone, never the daemon's as it is.
enum CommandEnvironment {
    /// The kernel takes no string above 128 kB, and refuses the whole program for one that is longer.
    static let headersLimit = 100_000

    /// The part that is the same for every message.
    static func constant(own: [String: String], inheriting: [String]) throws(CommandError) -> [String: String] {
        for (name, value) in own {
            try check(name)
            guard !value.utf8.contains(0) else { throw .nul("the environment variable '\(name)'") }
        }
        var variables: [String: String] = [:]
        for name in inheriting {
            try check(name)
            // The way to the daemon's own supervisor, secrets and database.
            guard !["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"].contains(name), !name.hasPrefix("PG") else {
                throw .secretVariable(name)
            }
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        return variables.merging(own) { _, own in own }
    }

    static func adding(_ message: Message, to constant: CStringList) -> CStringList {
        var list = constant
        list.append("PGMQD_QUEUE", message.queue.utf8)
        list.append("PGMQD_MSG_ID", String(message.id).utf8)
        list.append("PGMQD_ATTEMPT", String(message.attempt).utf8)
        list.append("PGMQD_READ_COUNT", String(message.readCount).utf8)
        list.append("PGMQD_ENQUEUED_AT", message.enqueuedAt.iso8601.utf8)
        list.append("PGMQD_IDEMPOTENCY_KEY", message.idempotencyKey.utf8)
        // Else an SQL NULL could not be told from a body that the program failed to read.
        if message.body == nil { list.append("PGMQD_NULL", "1".utf8) }
        if let headers = message.headers {
            if headers.count <= headersLimit {
                list.append("PGMQD_HEADERS", headers)
            } else {
                list.append("PGMQD_HEADERS_OMITTED", String(headers.count).utf8)
            }
        }
        return list
    }

    private static func check(_ name: String) throws(CommandError) {
        guard !name.isEmpty, !name.contains("=") else { throw .invalidVariable(name) }
        guard !name.utf8.contains(0) else { throw .nul("the name of an environment variable") }
        guard !name.hasPrefix(CommandHandler.reservedPrefix) else { throw .reservedVariable(name) }
    }
}
