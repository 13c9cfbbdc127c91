import ArgumentParser
import Foundation
import PGMQ
import PGMQWorker
import Postgres

struct Send: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send messages to a queue; prints their ids.",
        discussion: """
            One message from the command line, or JSON Lines from a file (--file) or standard input (--file -), sent in \
            batches, each in a transaction of its own.
            """
    )

    @OptionGroup var options: DatabaseOptions

    @Argument(help: "The queue.")
    var queue: String

    @Argument(help: "One message, as JSON.")
    var message: String?

    @Option(help: "JSON Lines, a message a line; - is standard input.")
    var file: String?

    @Option(help: "Headers for every message, as a JSON object.")
    var headers: String?

    @Option(help: "Visible only after this many seconds.")
    var delay: Double = 0

    @Option(help: "Messages a transaction, with --file.")
    var batch: Int = 1000

    @Flag(help: "Print how many were sent instead of their ids.")
    var quiet = false

    func validate() throws {
        guard (message == nil) != (file == nil) else { throw ValidationError("give one message, or --file") }
        guard delay >= 0, delay.isFinite else { throw ValidationError("--delay must not be negative") }
        guard (1...10_000).contains(batch) else { throw ValidationError("--batch must be between 1 and 10000") }
    }

    func run() async throws {
        try await options.connected { connection in
            let sending = Sending(connection)
            var sent = 0
            for try await bodies in batches() {
                let ids = try await sending.send(
                    bodies,
                    headers: headers.map { headers in bodies.map { _ in Array(headers.utf8) } } ?? [],
                    to: QueueName(queue),
                    delay: .seconds(delay)
                )
                sent += ids.count
                if !quiet { Output.line(ids.map(String.init).joined(separator: "\n")) }
            }
            if quiet { Output.line("\(sent)") }
        }
    }

    private func batches() -> AsyncThrowingStream<[[UInt8]], any Error> {
        AsyncThrowingStream { continuation in
            do {
                if let message {
                    continuation.yield([Array(message.utf8)])
                } else if let file {
                    try read(file) { continuation.yield($0) }
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    private func read(_ path: String, _ yield: ([[UInt8]]) -> Void) throws {
        let handle: FileHandle
        if path == "-" {
            handle = .standardInput
        } else if let opened = FileHandle(forReadingAtPath: path) {
            handle = opened
        } else {
            throw Failure.failed("cannot read \(path)")
        }
        var bodies: [[UInt8]] = []
        var rest: [UInt8] = []
        func take(_ line: [UInt8]) {
            guard line.contains(where: { $0 > 32 }) else { return }
            bodies.append(line)
            if bodies.count == batch {
                yield(bodies)
                bodies = []
            }
        }
        while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
            rest += chunk
            let lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for line in lines.dropLast() { take(Array(line)) }
            rest = lines.last.map(Array.init) ?? []
        }
        take(rest)
        if !bodies.isEmpty { yield(bodies) }
    }
}
