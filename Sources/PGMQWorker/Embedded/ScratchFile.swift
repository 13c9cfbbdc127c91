import Foundation

/// A file without a name, so that programs read and write as much as they like and no pipe fills up.
struct ScratchFile {
    let handle: FileHandle

    init(holding text: String = "") throws {
        var template = Array((NSTemporaryDirectory() + "/pgmqd-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw EmbeddedPostgresError(
                "No temporary file can be made in \(NSTemporaryDirectory()): \(String(cString: strerror(errno))).",
                advice: "Make room there, or set TMPDIR."
            )
        }
        unlink(template)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard !text.isEmpty else { return }
        try handle.write(contentsOf: Data(text.utf8))
        try handle.seek(toOffset: 0)
    }

    func text() -> String {
        try? handle.seek(toOffset: 0)
        return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
    }

    /// The last lines, where programs say why they failed.
    func tail() -> String {
        text().split(separator: "\n").suffix(20).joined(separator: "\n")
    }
}
