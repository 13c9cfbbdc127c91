import Foundation

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
        if getuid() == 0 { return "/run/pgmqd-dev.url" }
        return (environment["XDG_RUNTIME_DIR"] ?? (environment["HOME"] ?? "/tmp")) + "/.pgmqd-dev.url"
    }

    static func remember(url: String) throws {
        do {
            try url.write(toFile: note, atomically: true, encoding: .utf8)
        } catch {
            throw Failure.failed("cannot write \(note): \(error.localizedDescription)")
        }
    }

    /// Leaves the note of another server that was started since.
    static func forget(url: String) {
        if runningURL() == url { try? FileManager.default.removeItem(atPath: note) }
    }

    /// The address of the server that runs, as far as is known.
    static func runningURL() -> String? {
        try? String(contentsOfFile: note, encoding: .utf8)
    }
}
