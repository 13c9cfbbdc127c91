import Glibc

/// The address of a Unix socket: a path, or `@` and an abstract name.
struct SocketPath: Sendable {
    let text: String

    init?(_ text: String) {
        let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard text.utf8.count > 1, text.utf8.count < capacity else { return nil }
        guard text.hasPrefix("/") || text.hasPrefix("@") else { return nil }
        self.text = text
    }

    /// Sends one datagram.
    ///
    /// - Returns: zero, or an errno.
    func send(_ bytes: [UInt8], from descriptor: Int32) -> Int32 {
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { path in
            path.copyBytes(from: text.utf8)
            if text.hasPrefix("@") { path[0] = 0 }
        }
        // An abstract name has no terminator: its length is the address's length.
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + text.utf8.count } ?? 0
        let sent = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, socklen_t(length))
            }
        }
        return sent < 0 ? errno : 0
    }
}
