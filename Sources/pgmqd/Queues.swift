import ArgumentParser
import PGMQ

struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the queues of the database, and what waits in them.",
        discussion: """
            INVISIBLE is LEASED, which somebody has claimed, and WAITING, which are delayed; before PGMQ 1.10 the two \
            cannot be told apart. UNCLAIMABLE counts the visible rows that no claim can take, where the journal may be \
            read; the first of them are named below the table. OLDEST is the age in seconds of the oldest message that \
            could be claimed now. BELL says whether our doorbell hangs there and rings: without it, and without PGMQ's \
            own notifications, the daemon polls. A queue that cannot be read (it is locked, too large to be counted \
            soon, or not permitted) has the reason in its row, and the exit code is 1.
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
        // A column that has nothing to say is left out.
        let readsJournal = queues.contains { $0.unclaimable != nil }
        let hasErrors = queues.contains { $0.error != nil }
        try Output.table(
            ["QUEUE", "VISIBLE", "INVISIBLE", "LEASED", "WAITING"] + (readsJournal ? ["UNCLAIMABLE"] : [])
                + ["OLDEST", "KIND", "BELL"] + (hasErrors ? ["ERROR"] : []),
            queues.map { queue in
                counts(queue) + (readsJournal ? [number(queue.unclaimable)] : []) + kind(queue)
                    + (hasErrors ? [queue.error ?? ""] : [])
            }
        )
        for queue in queues { try nameUnclaimable(queue) }
    }

    private func nameUnclaimable(_ queue: Inspection.QueueSummary) throws(Failure) {
        guard let count = queue.unclaimable, let rows = queue.unclaimableRows else { return }
        for row in rows {
            let reason = MessageText.short(row.reason, to: 200)
            try Output.line(Output.printable("\(queue.queue): no claim can take row \(row.id): \(reason)"))
        }
        if count > rows.count {
            try Output.line(Output.printable("\(queue.queue): no claim can take \(count - rows.count) further rows"))
        }
    }

    private func number(_ count: Int?) -> String { count.map { "\($0)" } ?? "-" }

    private func counts(_ queue: Inspection.QueueSummary) -> [String] {
        [
            queue.queue, number(queue.visible), number(queue.invisible), number(queue.leased), number(queue.waiting),
        ]
    }

    private func kind(_ queue: Inspection.QueueSummary) -> [String] {
        let bell = queue.doorbell.map { $0 ? "yes" : "no" }
        return [
            number(queue.oldestClaimableSeconds.map { Int($0.rounded()) }),
            queue.isPartitioned ? "partitioned" : queue.isUnlogged ? "unlogged" : "plain", bell ?? "-",
        ]
    }
}
