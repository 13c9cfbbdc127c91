import ArgumentParser
import PGMQ

struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the queues of the database, and what waits in them.",
        discussion: """
            OLDEST is the age in seconds of the oldest message that could be claimed now. BELL says whether our doorbell \
            hangs there: without it, and without PGMQ's own notifications, the daemon polls.
            """
    )

    @OptionGroup var options: DatabaseOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let queues = try await options.connected { try await Inspection($0).queues() }
        if json { return try Output.json(queues) }
        Output.table(
            ["QUEUE", "VISIBLE", "INVISIBLE", "OLDEST", "KIND", "BELL"],
            queues.map { queue in
                [
                    queue.queue, "\(queue.visible)", "\(queue.invisible)",
                    queue.oldestClaimableSeconds.map { "\(Int($0.rounded()))" } ?? "-",
                    queue.isPartitioned ? "partitioned" : queue.isUnlogged ? "unlogged" : "plain",
                    queue.doorbell ? "yes" : "no",
                ]
            }
        )
    }
}
