import ArgumentParser
import PGMQ

struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Look at dead-lettered messages.",
        discussion: """
            A queue's dead letters are where the configuration says, if one is read: with -c, or the default file where \
            neither --database nor PGMQD_DATABASE_URL names the database. Else they are in <queue>_dlq.
            """,
        subcommands: [List.self, Show.self]
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List a dead-letter queue: which message, from where, after how many attempts, and why."
        )

        @OptionGroup var place: DeadLetterOptions

        @Option(name: .shortAndLong, help: "How many at most.")
        var limit = 50

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let letters = try await place.letters(limit: limit).letters
            if json { return try Output.json(letters) }
            try Output.table(
                ["ID", "QUEUE", "MSG", "ATTEMPTS", "DEAD-LETTERED", "REASON"],
                letters.map { letter in
                    let record = letter.record
                    return [
                        "\(letter.id)", record?.queue ?? "?", record.map { "\($0.msg_id)" } ?? "-",
                        "\(record?.attempts.count ?? 0)", record?.dead_lettered_at ?? "",
                        MessageText.short(record?.reason ?? letter.unreadableText ?? "(not ours)"),
                    ]
                }
            )
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one dead-lettered message whole, with the reasons of all its attempts."
        )

        @OptionGroup var place: DeadLetterOptions

        @Argument(help: "The id in the dead-letter queue.")
        var id: Int64

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let (source, letters) = try await place.letters(limit: 1, id: id)
            guard let letter = letters.first else {
                throw Failure.failed("no message \(id) in the dead-letter queue \(source)")
            }
            if json { return try Output.json(letter) }
            if let record = letter.record {
                try Output.line(
                    "from queue:     \(record.queue), message \(record.msg_id), enqueued \(record.enqueued_at)"
                )
                try Output.line("dead-lettered:  \(record.dead_lettered_at), after \(record.read_ct) deliveries")
                try Output.line("reason:         \(Output.printable(record.reason))")
                for attempt in record.attempts {
                    try Output.line(
                        "attempt \(attempt.number): \(attempt.outcome) at \(attempt.at), \(attempt.duration_ms ?? 0) ms, "
                            + "on \(attempt.host): \(Output.printable(attempt.reason ?? ""))"
                    )
                }
            }
            if let unreadable = letter.unreadableText {
                return try Output.line("body:           \(Output.printable(unreadable))")
            }
            try Output.line("headers:        \(letter.headers.map(Output.printable) ?? "(NULL)")")
            try Output.line("body:           \(letter.body.map(Output.printable) ?? "(NULL)")")
        }
    }
}
