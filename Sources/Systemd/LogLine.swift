import Glibc

/// Writes lines whole.
enum LogLine {
    /// One write(2) for the line, so that lines of several threads and processes do not mix. What cannot be written is
    /// dropped: there is nowhere left to say so.
    static func write(_ text: String, to descriptor: Int32) {
        var line = text
        line.append("\n")
        line.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let written = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                if written > 0 {
                    done += written
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
