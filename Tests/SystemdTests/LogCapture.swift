import Foundation
import Logging
import Systemd

/// What a log handler writes, read back through a pipe.
struct LogCapture {
    let sink: LogSink
    private let pipe = Pipe()

    init(limits: LogLimits = LogLimits()) {
        sink = LogSink(descriptor: pipe.fileHandleForWriting.fileDescriptor, limits: limits)
    }

    /// All lines so far; to be called once.
    func lines() throws -> [String] {
        sink.flush(within: .seconds(300))
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
