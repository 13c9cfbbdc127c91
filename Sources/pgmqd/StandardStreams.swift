import Glibc

/// The streams that a program writes to. `CStart` has secured them before `main`.
enum StandardStreams {
    /// Writes all of the line, in one call where the system takes it so.
    ///
    /// - Returns: 0, or the `errno` of what failed.
    static func write(_ line: String, to descriptor: CInt) -> CInt {
        var bytes = Array((line + "\n").utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Another program has made the pipe or terminal, which is its too, non-blocking.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, -1)
            case let code: return code
            }
        }
        return 0
    }
}
