import Foundation
import TestSupport

/// A systemd that was booted for one test, as PID 1 of namespaces of its own.
final class Machine: Sendable {
    /// Seen by the services too.
    let folder: String
    private let process: Process
    private let input = Pipe()
    private let manager: Int32

    /// Why there can be none here; nil where there can.
    static let obstacle: String? = {
        guard geteuid() == 0 else { return "needs root" }
        guard access("/lib/systemd/systemd", X_OK) == 0 else { return "needs systemd (deploy/setup --test)" }
        let attempt = Process()
        attempt.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        attempt.arguments = ["--fork", "--pid", "--mount", "--cgroup", "--mount-proc", "--kill-child", "true"]
        attempt.standardError = FileHandle.nullDevice
        do { try attempt.run() } catch { return "needs unshare" }
        attempt.waitUntilExit()
        return attempt.terminationStatus == 0 ? nil : "needs permission to make namespaces"
    }()

    static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let repository = tests.deletingLastPathComponent().deletingLastPathComponent()

    /// - Parameter units: names and texts of the units there are beside the journal.
    init(units: [String: String]) async throws {
        folder = "/var/lib/pgmqd-live-\(UUID().uuidString.prefix(8).lowercased())"
        let files = FileManager.default
        let journal = ["systemd-journald.service", "systemd-journald.socket"]
        try files.createDirectory(atPath: folder + "/units", withIntermediateDirectories: true)
        for name in journal {
            try files.copyItem(atPath: "/lib/systemd/system/\(name)", toPath: "\(folder)/units/\(name)")
        }
        let target = "[Unit]\nDefaultDependencies=no\nRequires=\(journal[0])\nAfter=\(journal[0])\n"
        for (name, text) in units.merging(["live.target": target], uniquingKeysWith: { mine, _ in mine }) {
            let path = "\(folder)/units/\(name)"
            try files.createDirectory(
                at: URL(fileURLWithPath: path).deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [Self.tests.path + "/machine.sh", "start", folder]
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = input
        // No child may keep the end that ends the machine: not even the machine.
        for end in [input.fileHandleForReading, input.fileHandleForWriting] {
            _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
        }
        try process.run()
        let pid = process.processIdentifier
        // sh start, then what becomes unshare, then systemd.
        try await eventually("systemd is PID 1 of its namespace") {
            Self.child(of: Self.child(of: pid)).map { (try? Self.name($0)) == "systemd" } ?? false
        }
        manager = Self.child(of: Self.child(of: pid)) ?? 0
        try await eventually("systemd has booted") {
            try await self.systemctl("is-active", "live.target").text == "active"
        }
    }

    /// A file as the services see it.
    func path(_ path: String) -> String { "/proc/\(manager)/root\(path)" }

    @discardableResult
    func systemctl(_ arguments: String...) async throws -> (status: Int32, text: String) {
        try await run(["systemctl", "--no-pager"] + arguments)
    }

    /// Runs a program inside.
    func run(_ command: [String]) async throws -> (status: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["-t", "\(manager)", "-m", "-p", "-C", "--"] + command
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return await withCheckedContinuation { continuation in
            // Not on a thread of the cooperative pool, which others need.
            DispatchQueue.global().async {
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                process.waitUntilExit()
                let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
                continuation.resume(returning: (process.terminationStatus, trimmed))
            }
        }
    }

    /// Ends everything in it.
    func remove() async {
        try? input.fileHandleForWriting.close()
        try? await eventually("the machine is gone") { !self.process.isRunning }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func child(of pid: Int32?) -> Int32? {
        guard let pid else { return nil }
        let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return text?.split(separator: " ").first.flatMap { Int32($0) }
    }

    private static func name(_ pid: Int32) throws -> String {
        try String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
