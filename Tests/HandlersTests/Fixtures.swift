import Engine
import Handlers

func message(
    body: [UInt8]? = Array("{}".utf8),
    headers: [UInt8]? = nil,
    enqueuedAt: Timestamp = Timestamp(microseconds: 1_709_210_096_000_007)
) -> Message {
    Message(
        queue: "emails",
        id: 42,
        readCount: 7,
        enqueuedAt: enqueuedAt,
        body: body,
        headers: headers,
        attempt: 3
    )
}

/// A handler that runs a shell script; the arguments are $0, $1 and so on.
func shell(
    _ script: String,
    _ arguments: String...,
    environment: [String: String] = [:],
    grace: Duration = .seconds(30)
) throws -> CommandHandler {
    try CommandHandler(
        command: ["/bin/sh", "-c", script] + arguments,
        environment: environment,
        terminationGrace: grace
    )
}

extension Verdict {
    /// The reason of a failed attempt; nil for every other verdict.
    var failure: String? {
        if case .failed(let reason) = self { reason } else { nil }
    }

    var notStartedReason: String? {
        if case .notStarted(let reason) = self { reason } else { nil }
    }
}
