import Glibc
import Synchronization

/// A TCP port of 127.0.0.1 that nobody has at this moment.
public enum FreePort {
    private static let given = Mutex<Set<Int>>([])

    /// Never the same one twice, and none that the kernel gives to a client: it is to be free still when a server
    /// comes to listen on it.
    public static func find() -> Int {
        given.withLock { given in
            while true {
                let port = Int.random(in: 10_000..<32_000)
                guard !given.contains(port), isFree(port) else { continue }
                given.insert(port)
                return port
            }
        }
    }

    private static func isFree(_ port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
