import Glibc

/// Where the service manager listens for the state of its service.
///
/// Not `sd_notify`: that one reads the environment at every call, so the variable would have to stay in it, for every
/// child to inherit and to speak in our name (a PostgreSQL of Debian does send `READY=1`), and it blocks while the
/// manager's queue is full. The protocol is one datagram to a Unix socket, and documented as stable.
struct NotifySocket: Sendable {
    /// A path, or `@` and an abstract name.
    let address: String

    init?(address: String) {
        let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard address.utf8.count > 1, address.utf8.count < capacity else { return nil }
        guard address.hasPrefix("/") || address.hasPrefix("@") else { return nil }
        self.address = address
    }

    /// Sends without waiting.
    ///
    /// - Returns: zero, or an errno; EAGAIN says that the manager's queue is full.
    func send(_ text: String) -> Int32 {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }

        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { path in
            path.copyBytes(from: address.utf8)
            if address.hasPrefix("@") { path[0] = 0 }
        }
        // An abstract name has no terminator: its length is the address's length.
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + address.utf8.count } ?? 0
        let bytes = Array(text.utf8)
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, socklen_t(length))
            }
        }
        return sent < 0 ? errno : 0
    }
}
