import CSpawn
import Glibc

enum MemoryFile {
    /// A file in memory that holds these bytes, read from its beginning.
    ///
    /// As a child's standard input it cannot fill up as a pipe does, so nobody has to feed it.
    static func holding(_ bytes: [UInt8]) throws(SystemError) -> Descriptor {
        let raw = cspawn_memory_file("pgmqd-message")
        guard raw >= 0 else { throw SystemError(-raw) }
        let file = Descriptor(raw)
        let code = bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                // At an offset, so that the file's own position stays at 0.
                let count = pwrite(raw, buffer.baseAddress?.advanced(by: written), buffer.count - written, written)
                if count >= 0 {
                    written += count
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
        guard code == 0 else { throw SystemError(code) }
        return file
    }
}
