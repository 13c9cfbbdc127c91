import Glibc

/// Writes records whole, one after the other. It may block as long as nobody reads.
struct LogOutput: ~Copyable {
    private let descriptor: Int32
    private var journal: JournalSocket
    /// Whether the descriptor holds the beginning of a line whose rest could not be written.
    private var isTorn = false

    init(descriptor: Int32, journal path: String) {
        self.descriptor = descriptor
        journal = JournalSocket(path: path)
    }

    /// - Returns: false where the record is lost.
    mutating func write(_ record: LogRecord) -> Bool {
        if let datagram = record.datagram, journal.send(datagram) { return true }
        return write(line: record.line)
    }

    /// One write(2) for the line, so that lines of several processes do not mix.
    private mutating func write(line: String) -> Bool {
        var text = isTorn ? "\n" + line : line
        text.append("\n")
        let size = text.utf8.count
        let written = text.withUTF8 { write($0) }
        if written > 0 { isTorn = written < size }
        return written == size
    }

    /// - Returns: how many bytes were written: fewer than all only after an error.
    private func write(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var done = 0
        while done < bytes.count {
            let written = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if written > 0 {
                done += written
            } else if errno == EAGAIN {
                // Somebody who shares the descriptor has made it non-blocking.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                break
            }
        }
        return done
    }
}
