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

    static func exists(_ path: String) -> Bool {
        kind(of: path) != nil
    }

    static func isFolder(_ path: String) -> Bool {
        kind(of: path) == S_IFDIR
    }

    static func isFile(_ path: String) -> Bool {
        kind(of: path) == S_IFREG
    }

    static func isExecutable(_ path: String) -> Bool {
        access(path, X_OK) == 0
    }

    private static func kind(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    private static func reason(_ code: CInt) -> String {
        String(cString: strerror(code))
    }
}
