import Engine
import FoundationEssentials
import Glibc
import Handlers

struct SetupError: Error {
    let step: String
    let code = errno
}

/// A directory of its own for a test, gone with the last reference.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/pgmqd-handlers-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SetupError(step: "mkdtemp") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String) -> String {
        path + "/" + name
    }

    func write(_ text: String, to name: String, mode: mode_t) throws -> String {
        let fd = open(file(name), O_WRONLY | O_CREAT | O_CLOEXEC, mode)
        guard fd >= 0 else { throw SetupError(step: "open") }
        defer { close(fd) }
        guard Glibc.write(fd, text, text.utf8.count) == text.utf8.count else { throw SetupError(step: "write") }
        return file(name)
    }

    /// Makes a program that can be executed at once: written by a process of its own, as TestSupport's `install` does.
    func program(_ text: String, _ name: String) async throws -> String {
        let source = try write(text, to: name + ".text", mode: 0o644)
        let copy = try CommandHandler(command: ["install", "-m", "755", source, file(name)])
        guard await copy.handle(message()) == .done else { throw SetupError(step: "install") }
        return file(name)
    }

    func bytes(of name: String) throws -> [UInt8] {
        let fd = open(file(name), O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw SetupError(step: "open") }
        defer { close(fd) }
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(fd, &chunk, chunk.count)
            guard count >= 0 else { throw SetupError(step: "read") }
            if count == 0 { return all }
            all += chunk[..<count]
        }
    }

    func text(of name: String) throws -> String {
        String(decoding: try bytes(of: name), as: UTF8.self)
    }
}
