import Foundation
import PGMQWorker
import TestSupport

/// PGMQ's own client for Python, from PyPI, on a test's database.
struct PythonClient {
    let database: TestDatabase

    private static var interpreter: String {
        let user = ProcessInfo.processInfo.environment
        let caches = ["/var/cache/pgmqd", (user["XDG_CACHE_HOME"] ?? (user["HOME"] ?? "") + "/.cache") + "/pgmqd"]
        let candidates = caches.map { $0 + "/python/bin/python3" }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? candidates[0]
    }

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
        let run = try await ProgramRun(["-c", prelude + script] + arguments, program: Self.interpreter)
        guard run.code == 0 else { throw NeverHappened(description: "Python: \(run.errors.suffix(2000))") }
        return run.lines
    }
}
