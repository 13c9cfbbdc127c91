import Glibc

/// The little that the configuration asks of the file system.
enum Disk {
    /// Far more than a configuration or a credential has.
    private static let largestFile = 16 << 20

    /// A whole file as text.
    static func text(of path: String) throws(Mistake) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Mistake("cannot be read: \(reason(errno))") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Mistake("cannot be read: \(reason(errno))")
            }
            bytes += chunk[..<count]
            guard bytes.count <= largestFile else { throw Mistake("is larger than 16 MiB") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Mistake("is not UTF-8") }
        // The parser is handed a C string, which would end there.
        guard !bytes.contains(0) else { throw Mistake("holds a NUL byte") }
        return text
    }

    /// The names in a folder, sorted by their bytes; none where there is no such folder.
    static func names(in folder: String) throws(Mistake) -> [String] {
        guard let stream = opendir(folder) else {
            if errno == ENOENT { return [] }
            throw Mistake("cannot be read: \(reason(errno))")
        }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                names.append(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            }
            errno = 0
        }
        guard errno == 0 else { throw Mistake("cannot be read: \(reason(errno))") }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// What a path leads to.
    enum Kind: Equatable {
        case file
        case folder
        case other
        /// There is nothing of that name.
        case nothing
        /// It could not be looked at; the `errno`.
        case hidden(CInt)
    }

    static func kind(of path: String) -> Kind {
        var status = stat()
        guard stat(path, &status) == 0 else { return errno == ENOENT ? .nothing : .hidden(errno) }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .folder
        default: .other
        }
    }

    /// Whether this user may execute the file, or enter the folder.
    static func isExecutable(_ path: String) -> Bool {
        access(path, X_OK) == 0
    }

    /// Whether this user may change the file, or make files in the folder.
    static func isWritable(_ path: String) -> Bool {
        access(path, W_OK) == 0
    }

    /// Whether the file has a mode by which anybody may execute it.
    static func isMeantForExecution(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o111 != 0
    }

    /// The system's words for what keeps us out, and where the permission may come from that is missing.
    static func refusal(_ code: CInt) -> String {
        guard code == EACCES else { return reason(code) }
        return "\(reason(code)); it is the daemon's user who needs access, and its unit hides /home and /root "
            + "(ProtectHome=)"
    }

    private static func reason(_ code: CInt) -> String {
        String(cString: strerror(code))
    }
}
