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
            var source = try BodySource(message: message, file: file, batch: batch)
            while let bodies = try source.next() {
                let ids = try await sending.send(
                    bodies,
                    headers: headers.map { headers in bodies.map { _ in Array(headers.utf8) } } ?? [],
                    to: QueueName(queue),
                    delay: .seconds(delay)
                )
                sent += ids.count
                if !quiet { try Output.line(ids.map(String.init).joined(separator: "\n")) }
            }
            if quiet { try Output.line("\(sent)") }
        }
    }
}
