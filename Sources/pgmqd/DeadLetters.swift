import ArgumentParser
import Foundation
import PGMQ

struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Look at dead-lettered messages.",
        subcommands: [List.self, Show.self]
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List a dead-letter queue: which message, from where, after how many attempts, and why."
        )

        @OptionGroup var options: DatabaseOptions

        @Argument(help: "The dead-letter queue, or the queue whose default one it is.")
        var queue: String

        @Option(name: .shortAndLong, help: "How many at most.")
        var limit = 50

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let letters = try await DeadLetters.letters(of: queue, limit: limit, options: options)
            if json { return try Output.json(letters) }
            Output.table(
                ["ID", "QUEUE", "MSG", "ATTEMPTS", "DEAD-LETTERED", "REASON"],
                letters.map { letter in
                    let record = letter.record
                    return [
                        "\(letter.id)", record?.queue ?? "?", record.map { "\($0.msg_id)" } ?? "-",
                        "\(record?.attempts.count ?? 0)", record?.dead_lettered_at ?? "",
                        MessageText.short(record?.reason ?? "(not ours)"),
                    ]
                }
            )
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one dead-lettered message whole, with the reasons of all its attempts."
        )

        @OptionGroup var options: DatabaseOptions

        @Argument(help: "The dead-letter queue, or the queue whose default one it is.")
        var queue: String

        @Argument(help: "The id in the dead-letter queue.")
        var id: Int64

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            guard let letter = try await DeadLetters.letters(of: queue, limit: 1, id: id, options: options).first else {
                throw Failure.failed("no message \(id) in the dead-letter queue of \(queue)")
            }
            if json { return try Output.json(letter) }
            if let record = letter.record {
                Output.line("from queue:     \(record.queue), message \(record.msg_id), enqueued \(record.enqueued_at)")
                Output.line("dead-lettered:  \(record.dead_lettered_at), after \(record.read_ct) deliveries")
                Output.line("reason:         \(Output.printable(record.reason))")
                for attempt in record.attempts {
                    Output.line(
                        "attempt \(attempt.number): \(attempt.outcome) at \(attempt.at), \(attempt.duration_ms ?? 0) ms, "
                            + "on \(attempt.host): \(Output.printable(attempt.reason ?? ""))"
                    )
                }
            }
            Output.line("headers:        \(letter.headers.map(Output.printable) ?? "(NULL)")")
            Output.line("body:           \(letter.body.map(Output.printable) ?? "(NULL)")")
        }
    }

    private static func letters(
        of queue: String,
        limit: Int,
        id: Int64? = nil,
        options: DatabaseOptions
    ) async throws -> [Letter] {
        let written = QueueName(queue)
        let usual = QueueName(QueueName.deadLetter(of: queue))
        let messages = try await options.connected { connection in
            let name = try await Schema(connection).exists(usual) ? usual : written
            return try await Inspection(connection).peek(name, limit: limit, id: id)
        }
        return messages.map(Letter.init)
    }
}

/// A message of a dead-letter queue, with what we wrote into its headers.
struct Letter: Encodable {
    struct Record: Codable {
        struct Attempt: Codable {
            let number: Int
            let outcome: String
            let at: String
            let duration_ms: Int64?
            let reason: String?
            let host: String
        }

        let queue: String
        let msg_id: Int64
        let read_ct: Int
        let enqueued_at: String
        let dead_lettered_at: String
        let reason: String
        let attempts: [Attempt]
    }

    private struct Headers: Decodable {
        let record: Record?

        enum CodingKeys: String, CodingKey {
            case record = "x-pgmqd"
        }
    }

    let id: Int64
    let body: String?
    let headers: String?
    let record: Record?

    init(_ message: Inspection.StoredMessage) {
        id = message.id
        body = message.body
        headers = message.headers
        record = message.headers.flatMap { headers in
            try? JSONDecoder().decode(Headers.self, from: Data(headers.utf8)).record
        }
    }
}
