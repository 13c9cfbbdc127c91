import PGMQWorker
import TestSupport

/// PGMQ's own client for Python, from PyPI, on a test's database.
struct PythonClient {
    let database: TestDatabase

    /// Runs a script that finds the client as `queues`. Its standard output comes back; failing is an error.
    func run(_ script: String, _ arguments: [String] = []) async throws -> [String] {
        let host = database.server.postgres.socketDirectory
        let prelude = """
            import os, sys, time
            from pgmq import PGMQueue
            queues = PGMQueue(
                conn_string="host=\(host) port=5432 dbname=\(database.name) user=postgres password=none",
                init_extension=False)

            """
        guard let interpreter = CacheFolder.path(of: "python/bin/python3") else {
            throw NeverHappened(description: "deploy/setup --test installs PGMQ's Python client")
        }
        let run = try await ProgramRun(["-c", prelude + script] + arguments, program: interpreter)
        guard run.code == 0 else { throw NeverHappened(description: "Python: \(run.errors.suffix(2000))") }
        return run.lines
    }
}
