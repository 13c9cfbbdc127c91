import Foundation

/// A temporary folder that goes with the value.
public final class TestFolder: Sendable {
    public let path: String

    public init() throws {
        path = FileManager.default.temporaryDirectory.path + "/pgmqd-folder-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    public func data(_ name: String) -> Data? {
        FileManager.default.contents(atPath: path + "/" + name)
    }

    public func text(_ name: String) -> String? {
        data(name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a file whole, or not at all.
    @discardableResult
    public func write(_ name: String, _ text: String, mode: Int = 0o644) throws -> String {
        let file = path + "/" + name
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }

    /// Makes a script that a test is going to run.
    public func program(_ name: String, _ text: String) async throws -> String {
        let file = path + "/" + name
        let source = try write(name + ".text", text)
        try await install(program: source, at: file)
        try FileManager.default.removeItem(atPath: source)
        return file
    }

    public var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// A command handler, as the configuration writes it: a shell script with arguments.
    ///
    /// - Parameter script: without single quotes.
    public static func shell(_ script: String, _ arguments: String..., options: String = "") -> String {
        let argv = ["/bin/sh", "-c", script, "sh"] + arguments
        return "{ command = [" + argv.map { "'\($0)'" }.joined(separator: ", ") + "]\(options) }"
    }
}
