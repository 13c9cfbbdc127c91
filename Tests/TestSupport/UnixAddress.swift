import Glibc

/// The address of a Unix socket with a name in the file system.
public struct UnixAddress: Sendable {
    private let path: String

    /// - Parameter path: of at most 107 bytes, which is what an address holds.
    public init(_ path: String) {
        self.path = path
    }

    /// As the calls of the system take it.
    public func with<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
