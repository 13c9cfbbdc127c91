import Glibc

/// Where journald takes its entries.
///
/// Not `sd_journal_sendv`: that one drops an entry without a word while no journald listens, and knows one path alone.
/// The protocol is one datagram an entry, and documented as stable.
package struct JournalSocket: ~Copyable {
    package static let path = "/run/systemd/journal/socket"

    private let path: SocketPath?
    private var descriptor: Int32 = -1

    init(path: String) {
        self.path = SocketPath(path)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Waits while the queue of the journald is full.
    ///
    /// - Returns: false where nobody listens, or the entry is larger than a datagram can be.
    mutating func send(_ datagram: [UInt8]) -> Bool {
        guard let path else { return false }
        if descriptor < 0 { descriptor = Self.open() }
        guard descriptor >= 0 else { return false }
        while true {
            switch path.send(datagram, from: descriptor) {
            case 0: return true
            case EINTR: continue
            default: return false
            }
        }
    }

    private static func open() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        // The size that systemd's own library asks for: it bounds the size of an entry. The kernel gives what it allows.
        var size: Int32 = 8 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        return descriptor
    }
}
