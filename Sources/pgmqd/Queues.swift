import ArgumentParser
import PGMQ

struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the queues of the database, and what waits in them.",
        discussion: """
            OLDEST is the age in seconds of the oldest message that could be claimed now. BELL says whether our doorbell \
            hangs there and rings: without it, and without PGMQ's own notifications, the daemon polls. A queue that \
            cannot be read (it is locked, too large to be counted soon, or not permitted) has the reason in its row, and \
            the exit code is 1.
            """
    )

    @OptionGroup var options: DatabaseOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let queues = try await options.connected { try await Inspection($0).queues() }
        if json {
            try Output.json(queues)
        } else {
            try table(queues)
        }
        let failed = queues.count { $0.error != nil }
        if failed > 0 { throw Failure.failed("\(failed) of \(queues.count) queues could not be read") }
    }

    private func table(_ queues: [Inspection.QueueSummary]) throws(Failure) {
        let header = ["QUEUE", "VISIBLE", "INVISIBLE", "OLDEST", "KIND", "BELL"]
        // Where all is well, nobody needs the column.
        if queues.contains(where: { $0.error != nil }) {
            try Output.table(header + ["ERROR"], queues.map { cells($0) + [$0.error ?? ""] })
        } else {
            try Output.table(header, queues.map(cells))
        }
    }

    private func cells(_ queue: Inspection.QueueSummary) -> [String] {
        func number(_ count: Int?) -> String { count.map { "\($0)" } ?? "-" }
        let bell = queue.doorbell.map { $0 ? "yes" : "no" }
        return [
            queue.queue, number(queue.visible), number(queue.invisible),
            number(queue.oldestClaimableSeconds.map { Int($0.rounded()) }),
            queue.isPartitioned ? "partitioned" : queue.isUnlogged ? "unlogged" : "plain", bell ?? "-",
        ]
    }
}
