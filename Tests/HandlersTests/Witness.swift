import Dispatch
import Glibc

/// The reading end of a pipe or FIFO that processes hold open. What they write says how far they are, and its end
/// that all of them are gone.
final class Witness: Sendable {
    private let fd: Int32
    /// Its own: the global queues share their few threads with the tasks.
    private let queue = DispatchQueue(label: "witness")

    init(fifo path: String) throws {
        guard mkfifo(path, 0o600) == 0 else { throw SetupError(step: "mkfifo") }
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard fd >= 0 else { throw SetupError(step: "open") }
    }

    init(owning fd: Int32) {
        self.fd = fd
    }

    deinit {
        close(fd)
    }

    func line() async throws -> String {
        try await bytes(through: UInt8(ascii: "\n"))
    }

    /// What is still written, once nobody is left who could write more.
    func rest() async throws -> String {
        try await bytes(through: nil)
    }

    private func bytes(through last: UInt8?) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(with: Result { try self.blockingBytes(through: last) })
            }
        }
    }

    private func blockingBytes(through last: UInt8?) throws -> String {
        var all: [UInt8] = []
        while true {
            var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            // The minute is for a test that fails, not for one that passes.
            guard poll(&entry, 1, 60_000) > 0 else { throw SetupError(step: "nothing came of the child") }
            var byte: UInt8 = 0
            guard read(fd, &byte, 1) == 1 else { return String(decoding: all, as: UTF8.self) }
            if byte == last { return String(decoding: all, as: UTF8.self) }
            all.append(byte)
        }
    }
}
