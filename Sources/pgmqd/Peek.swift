import ArgumentParser
import PGMQ

struct Peek: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show messages of a queue without taking them; spends no delivery."
    )

    @OptionGroup var options: DatabaseOptions

    @Argument(help: "The queue.")
    var queue: String

    @Option(name: .shortAndLong, help: "How many at most.")
    var limit = 10

    @Flag(help: "Print JSON, bodies whole.")
    var json = false

    func run() async throws {
        let messages = try await options.connected {
            try await Inspection($0).peek(QueueName(queue), limit: limit)
        }
        if json { return try Output.json(messages.map(MessageText.init)) }
        try Output.table(
            ["ID", "READ", "ENQUEUED", "VISIBLE", "BODY"],
            messages.map { message in
                [
                    "\(message.id)", "\(message.readCount)", message.enqueuedAt, message.visibleAt,
                    MessageText.short(message.body),
                ]
            }
        )
    }
}

/// A stored message as JSON output gives it: bodies and headers as the texts they are.
struct MessageText: Encodable {
    let id: Int64
    let readCount: Int
    let enqueuedAt: String
    let visibleAt: String
    let body: String?
    let headers: String?

    init(_ message: Inspection.StoredMessage) {
        id = message.id
        readCount = message.readCount
        enqueuedAt = message.enqueuedAt
        visibleAt = message.visibleAt
        body = message.body
        headers = message.headers
    }

    static func short(_ body: String?) -> String {
        guard let body else { return "(NULL)" }
        return body.count > 80 ? body.prefix(79) + "…" : body
    }
}
