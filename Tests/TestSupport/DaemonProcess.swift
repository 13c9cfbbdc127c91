import Foundation
import Glibc
import Synchronization

/// A real daemon in a process of its own, with its log.
public final class DaemonProcess: Sendable {
    public let folder: String
    private let process: Mutex<Process>
    private let lines = Mutex<(text: String, ended: Bool)>(("", false))

    /// The folder of the built programs: this test's own.
    public static var programs: String {
        let me = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return ProcessInfo.processInfo.environment["PGMQD_BIN_DIR"] ?? URL(fileURLWithPath: me).deletingLastPathComponent().path
    }

    /// Starts `program run -c` a file with this text.
    ///
    /// - Parameters:
    ///   - program: `pgmqd`, or `LedgerDaemon` for handlers written in Swift.
    ///   - prefix: a program and arguments to run it under.
    public init(
        _ configuration: String,
        program: String = "pgmqd",
        arguments: [String]? = nil,
        environment: [String: String] = [:],
        prefix: [String] = []
    ) throws {
        folder = FileManager.default.temporaryDirectory.path + "/pgmqd-daemon-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = folder + "/pgmqd.toml"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        let process = Process()
        let command = prefix + [Self.programs + "/" + program] + (arguments ?? ["run", "-c", file])
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.environment = ["PATH": "/usr/local/bin:/usr/bin:/bin"].merging(environment) { $1 }
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        self.process = Mutex(process)
        try process.run()
        pipe.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil }
            self?.lines.withLock { lines in
                lines.text += String(decoding: data, as: UTF8.self)
                lines.ended = data.isEmpty
            }
        }
    }

    deinit {
        let (pid, running) = process.withLock { ($0.processIdentifier, $0.isRunning) }
        if running { Glibc.kill(pid, SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    public var pid: Int32 { process.withLock { $0.processIdentifier } }
    public var isRunning: Bool { process.withLock { $0.isRunning } }
    public var log: String { lines.withLock { $0.text } }

    public func signal(_ number: Int32) {
        Glibc.kill(pid, number)
    }

    /// Waits for a text in the log.
    public func logged(_ text: String, times: Int = 1, within limit: Duration = .seconds(60)) async throws {
        do {
            try await eventually("the log says \(text)", within: limit) {
                self.log.components(separatedBy: text).count > times
            }
        } catch {
            throw NeverHappened(description: "\(error)\n--- log:\n\(log.suffix(4000))")
        }
    }

    public func ready() async throws {
        try await logged("\"message\":\"ready\"")
    }

    /// Waits for the process's end.
    /// - Returns: the exit status; minus the signal's number where one ended it.
    public func exit(within limit: Duration = .seconds(60)) async throws -> Int32 {
        try await eventually("the daemon ends", within: limit) { !self.isRunning && self.lines.withLock { $0.ended } }
        return process.withLock { $0.terminationReason == .exit ? $0.terminationStatus : -$0.terminationStatus }
    }

    /// Stops it and expects a clean end.
    @discardableResult
    public func stop() async throws -> Int32 {
        signal(SIGTERM)
        return try await exit()
    }

    /// Resident memory in kB, and open files.
    public var resources: (memory: Int, files: Int) {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        let memory = line.split(separator: " ").compactMap { Int($0) }.first ?? 0
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
        return (memory, files)
    }
}
