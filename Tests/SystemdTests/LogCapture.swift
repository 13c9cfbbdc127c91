import Foundation
import Logging

/// What a log handler writes, read back through a pipe.
struct LogCapture {
    private let pipe = Pipe()

    var descriptor: Int32 { pipe.fileHandleForWriting.fileDescriptor }

    /// All lines so far; to be called once.
    func lines() throws -> [String] {
        try pipe.fileHandleForWriting.close()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    static func event(
        _ message: Logger.Message,
        _ metadata: Logger.Metadata = [:],
        level: Logger.Level = .info,
        error: (any Error)? = nil
    ) -> LogEvent {
        LogEvent(
            level: level,
            message: message,
            error: error,
            metadata: metadata,
            source: "Tests",
            file: "Tests/File.swift",
            function: "f()",
            line: 7
        )
    }
}
