import Foundation

/// The right to use a state folder. The kernel gives it up for us, however we end.
final class StateLock: Sendable {
    private let descriptor: Int32

    init(folder: StateFolder) throws {
        descriptor = open(folder.marker, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw EmbeddedPostgresError(
                "\(folder.marker) cannot be opened: \(String(cString: strerror(errno))).",
                advice: "Run this as the user who made the state folder, or name another folder."
            )
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = contents()["holder"]
            close(descriptor)
            throw EmbeddedPostgresError(
                "The state folder \(folder.path) is in use by process \(holder.map(String.init) ?? "unknown")"
                    + (holder.map { " (\(Self.commandLine(of: $0)))" } ?? "") + ".",
                advice: "Stop that process first, or name another state folder."
            )
        }
        // The server of a holder that was killed, until we have one ourselves.
        record(server: contents()["server"])
    }

    deinit { close(descriptor) }

    /// The server last started by a holder of this lock.
    var server: pid_t? { contents()["server"] }

    func record(server: pid_t?) {
        var text = "holder \(getpid())\n"
        if let server { text += "server \(server)\n" }
        ftruncate(descriptor, 0)
        let bytes = Array(text.utf8)
        pwrite(descriptor, bytes, bytes.count, 0)
    }

    private func contents() -> [String: pid_t] {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = max(0, pread(descriptor, &bytes, bytes.count, 0))
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        let pairs = lines.compactMap { line -> (String, pid_t)? in
            let words = line.split(separator: " ")
            guard words.count == 2, let number = pid_t(words[1]) else { return nil }
            return (String(words[0]), number)
        }
        return Dictionary(pairs) { first, _ in first }
    }

    private static func commandLine(of process: pid_t) -> String {
        let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
        return bytes.split(separator: 0).prefix(3).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }
}
