import Foundation
import Glibc
import Testing

/// What is there and cannot be reached, which is another thing than not being there.
@Suite struct NoAccessTests {
    private static let hint =
        "Permission denied; it is the daemon's user who needs access, and its unit hides /home and /root (ProtectHome=)"

    /// Runs the closure as somebody whom the folder keeps out, for which it is closed to all. Root is kept out of
    /// nothing: there the file system is shown another user, by this thread alone.
    private func shutOut<R>(of folder: String, _ body: () -> R) throws -> R {
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: folder)
        guard getuid() == 0 else { return body() }
        // The module map of the C library lacks its header.
        let symbol = try #require(dlsym(nil, "setfsuid"))
        let setUser = unsafeBitCast(symbol, to: (@convention(c) (uid_t) -> CInt).self)
        _ = setUser(65534)
        defer { _ = setUser(0) }
        return body()
    }

    private func complaint(handler: String, environment: [String: String] = [:]) -> String {
        ConfigurationTests.complaint(
            sound.replacing("handler = { discard = true }", with: "handler = \(handler)"),
            environment: environment
        )
    }

    @Test func `a command, a folder and a PATH that this user may not look into`() throws {
        let closed = try ConfigurationFolder([:])
        try FileManager.default.createDirectory(atPath: closed.path, withIntermediateDirectories: true)
        let path = closed.path
        let absolute = try shutOut(of: path) { complaint(handler: "{ command = ['\(path)/tool'] }") }
        #expect(
            absolute
                == "pgmqd.toml:6: queue \"emails\".handler.command: \"\(path)/tool\" cannot be looked at: \(Self.hint)"
        )
        let bare = try shutOut(of: path) {
            complaint(handler: "{ command = ['tool'] }", environment: ["PATH": "/usr/bin:\(path)"])
        }
        #expect(
            bare
                == "pgmqd.toml:6: queue \"emails\".handler.command: there is no \"tool\" in PATH (/usr/bin:\(path)), "
                + "as far as can be seen: \(path): \(Self.hint)"
        )
        let folder = try shutOut(of: path) {
            complaint(handler: "{ command = ['/bin/true'], working_directory = '\(path)/sub' }")
        }
        #expect(
            folder
                == "pgmqd.toml:6: queue \"emails\".handler.working_directory: \"\(closed.path)/sub\" cannot be looked at: "
                + Self.hint
        )
    }

    @Test func `other obstacles, in the system's words`() {
        #expect(
            complaint(handler: "{ command = ['/etc/passwd/tool'], working_directory = '/etc/passwd' }")
                == """
                pgmqd.toml:6: queue "emails".handler.working_directory: "/etc/passwd" is not a folder
                pgmqd.toml:6: queue "emails".handler.command: "/etc/passwd/tool" cannot be looked at: Not a directory
                """
        )
    }
}
