import Glibc

/// Where the service manager listens for the state of its service.
///
/// Not `sd_notify`: that one reads the environment at every call, so the variable would have to stay in it, for every
/// child to inherit and to speak in our name (a PostgreSQL of Debian does send `READY=1`), and it blocks while the
/// manager's queue is full. The protocol is one datagram to a Unix socket, and documented as stable.
struct NotifySocket: Sendable {
    private let path: SocketPath

    init?(address: String) {
        guard let path = SocketPath(address) else { return nil }
        self.path = path
    }

    /// Sends without waiting.
    ///
    /// - Returns: zero, or an errno; EAGAIN says that the manager's queue is full.
    func send(_ text: String) -> Int32 {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return path.send(Array(text.utf8), from: descriptor)
    }
}
