import Foundation
import Postgres

/// Where `pgmqd dev` keeps its server, and how the other commands find the one that runs.
enum DevState {
    static var defaultFolder: String {
        let environment = ProcessInfo.processInfo.environment
        if getuid() == 0 { return "/var/lib/pgmqd-dev" }
        let base = environment["XDG_STATE_HOME"] ?? (environment["HOME"] ?? "/tmp") + "/.local/state"
        return base + "/pgmqd-dev"
    }

    private static var note: String {
        let environment = ProcessInfo.processInfo.environment
        if let folder = environment["XDG_RUNTIME_DIR"] { return folder + "/.pgmqd-dev.url" }
        return getuid() == 0 ? "/run/pgmqd-dev.url" : (environment["HOME"] ?? "/tmp") + "/.pgmqd-dev.url"
    }

    /// Leaves the note of another server that runs: whoever works with that one shall go on finding it. The note is a
    /// convenience, and no reason to end.
    static func remember(url: String) async {
        if let other = runningURL(), other != url, await answers(other) {
            return Output.complain(
                "note: another `pgmqd dev` runs, and the other commands find that one; name this one with --database or "
                    + "PGMQD_DATABASE_URL"
            )
        }
        do {
            try url.write(toFile: note, atomically: true, encoding: .utf8)
        } catch {
            Output.complain(
                "note: cannot write \(note) (\(error.localizedDescription)), so the other commands do not find this "
                    + "server by themselves; name it with --database or PGMQD_DATABASE_URL"
            )
        }
    }

    private static func answers(_ url: String) async -> Bool {
        guard let connection = try? await Connection.open(url: url, deadline: .seconds(10)) else { return false }
        await connection.close()
        return true
    }

    /// Removes the note if it is that of this server.
    static func forget(url: String) {
        if runningURL() == url { try? FileManager.default.removeItem(atPath: note) }
    }

    /// The address of the server that runs, as far as is known.
    static func runningURL() -> String? {
        try? String(contentsOfFile: note, encoding: .utf8)
    }
}
