import ArgumentParser
import PGMQ

struct Peek: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show messages of a queue without taking them; spends no delivery.",
        discussion: """
            The next ones to be claimed come first. UNCLAIMABLE is the reason why no claim can take a row, where daemons \
            have noted it. If a body cannot be read, the reason stands in its place.
            """
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
        // Where all is well, nobody needs the column.
        let isAnyUnclaimable = messages.contains { $0.unclaimable != nil }
        try Output.table(
            ["ID", "READ", "ENQUEUED", "VISIBLE", "BODY"] + (isAnyUnclaimable ? ["UNCLAIMABLE"] : []),
            messages.map { message in
                let body = message.unreadable.map { MessageText.short("(cannot be read: \($0))", to: 200) }
                return [
                    "\(message.id)", "\(message.readCount)", message.enqueuedAt, message.visibleAt,
                    body ?? MessageText.short(message.body),
                ] + (isAnyUnclaimable ? [message.unclaimable.map { MessageText.short($0) } ?? ""] : [])
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
    let unclaimable: String?
    let unreadable: String?

    init(_ message: Inspection.StoredMessage) {
        id = message.id
        readCount = message.readCount
        enqueuedAt = message.enqueuedAt
        visibleAt = message.visibleAt
        body = message.body
        headers = message.headers
        unclaimable = message.unclaimable
        unreadable = message.unreadable
    }

    static func short(_ body: String?, to length: Int = 80) -> String {
        guard let body else { return "(NULL)" }
        return body.count > length ? body.prefix(length - 1) + "…" : body
    }
}
