import Foundation

/// The file the server writes to, and the place in it where this run begins.
struct ServerLog {
    let handle: FileHandle
    private let path: String
    private let start: UInt64

    init(folder: StateFolder) throws {
        path = folder.log
        var info = stat()
        if stat(path, &info) == 0, info.st_size > 16 << 20 { rename(path, folder.oldLog) }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw EmbeddedPostgresError(
                "\(path) cannot be written: \(String(cString: strerror(errno))).",
                advice: "Run this as the user who made the state folder, or name another folder."
            )
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        start = try handle.seekToEnd()
    }

    /// The last lines of this run.
    func tail() -> String {
        guard let reader = FileHandle(forReadingAtPath: path) else { return "" }
        try? reader.seek(toOffset: start)
        let text = String(decoding: (try? reader.readToEnd()) ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").suffix(15).joined(separator: "\n")
    }
}
