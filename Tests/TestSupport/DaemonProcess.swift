import CSanitizedMutex
import Foundation
import Glibc
import Synchronization

/// A real daemon in a process of its own, with its log.
public final class DaemonProcess: Sendable {
    public let folder: String
    private let child: Child
    private let read: Mutex<(text: String, upTo: UInt64)> = Mutex(("", 0))

    /// The folder of the built programs: this test's own.
    public static var programs: String {
        if let named = ProcessInfo.processInfo.environment["PGMQD_BIN_DIR"] { return named }
        let me = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: me).deletingLastPathComponent().path
    }

    /// Starts `program run -c` a file with this text.
    ///
    /// - Parameters:
    ///   - program: `pgmqd`, or `LedgerDaemon` for handlers written in Swift; or an absolute path.
    ///   - prefix: a program and arguments to run it under.
    public init(
        _ configuration: String,
        program: String = "pgmqd",
        arguments: [String]? = nil,
        environment: [String: String] = [:],
        prefix: [String] = []
    ) throws {
        if sanitizes_threads(), program == "pgmqd" {
            throw NeverHappened(description: "ThreadSanitizer reports pgmqd's mutexes as races: use LedgerDaemon")
        }
        folder = FileManager.default.temporaryDirectory.path + "/pgmqd-daemon-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = folder + "/pgmqd.toml"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        child = try Child(
            prefix + [program.hasPrefix("/") ? program : Self.programs + "/" + program]
                + (arguments ?? ["run", "-c", file]),
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin"].merging(environment) { $1 },
            output: folder + "/log",
            errors: folder + "/log"
        )
    }

    deinit {
        child.end()
        try? FileManager.default.removeItem(atPath: folder)
    }

    public var pid: Int32 { child.pid }
    public var isRunning: Bool { child.exit == nil }

    /// Standard output and standard error so far.
    public var log: String {
        read.withLock { read in
            guard let handle = FileHandle(forReadingAtPath: folder + "/log") else { return read.text }
            defer { try? handle.close() }
            try? handle.seek(toOffset: read.upTo)
            let data = (try? handle.readToEnd()) ?? Data()
            read.text += String(decoding: data, as: UTF8.self)
            read.upTo += UInt64(data.count)
            return read.text
        }
    }

    public func signal(_ number: Int32) {
        child.signal(number)
    }

    /// Waits for a text in the log.
    public func logged(_ text: String, times: Int = 1, within limit: Duration = .seconds(300)) async throws {
        do {
            try await eventually("the log says \(text)", within: limit) {
                self.log.components(separatedBy: text).count > times
            }
        } catch {
            throw NeverHappened(description: "\(error)\n--- log:\n\(log.suffix(4000))")
        }
    }

    public func ready() async throws {
        let text = "\"message\":\"ready\""
        try await eventually("the daemon is ready, or has ended") { !self.isRunning || self.log.contains(text) }
        guard log.contains(text) else { throw NeverHappened(description: "the daemon ended:\n\(log.suffix(4000))") }
    }

    /// Waits for the process's end.
    /// - Returns: the exit status; minus the signal's number where one ended it.
    public func exit(within limit: Duration = .seconds(300)) async throws -> Int32 {
        do {
            try await eventually("the daemon ends", within: limit) { !self.isRunning }
        } catch {
            throw NeverHappened(description: "\(error)\n--- log:\n\(log.suffix(4000))")
        }
        return child.exit ?? 0
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
