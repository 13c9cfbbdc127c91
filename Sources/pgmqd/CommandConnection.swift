import Postgres

/// The connection of a command that runs once and ends.
enum CommandConnection {
    private static let deadline: Duration = .seconds(10)

    /// Runs the closure with a connection, and closes it. The database's errors come out as ``Failure``.
    static func use<R: Sendable>(_ url: String, _ body: (Connection) async throws -> R) async throws -> R {
        let connection = try await open(url)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            if let error = error as? PostgresError { throw Failure.database(error) }
            throw error
        }
    }

    private static func open(_ url: String) async throws(Failure) -> Connection {
        do throws(PostgresError) {
            return try await Connection.open(url: url, application: "pgmqd command", deadline: deadline)
        } catch {
            guard error.kind == .deadline else { throw .database(error) }
            // Nobody is there who could be slow.
            throw .unreachable("there was no connection within \(deadline)")
        }
    }
}
