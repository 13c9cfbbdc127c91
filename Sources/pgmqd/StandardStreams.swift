import Glibc

/// The three streams that a program is started with, or without.
enum StandardStreams {
    /// Called before anything else is opened.
    static func secure() {
        // A reader that has gone is told of by write(2), like a disk that is full.
        signal(SIGPIPE, SIG_IGN)
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            // The connection to the database would else get this number, and the output. It is the lowest free one; and
            // open for the wrong direction, so that its use fails as that of a closed one does.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

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
