import ArgumentParser
import PGMQ
import PGMQWorker
import Postgres

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration, and with --connect the database it names.",
        discussion: "Every mistake is told at once, with its file, line and key. Exit code 78 if there is one."
    )

    @OptionGroup var options: SetUpOptions

    @Flag(help: "Also connect, and look for queues, dead-letter queues, our schema, and missing rights and policies.")
    var connect = false

    func validate() throws {
        guard connect || options.database == nil else { throw ValidationError("--database goes with --connect") }
    }

    func run() async throws {
        let loaded = try Configuration.ofCommand(options.config)
        let queues = loaded.queues.map { "\($0.name) (\($0.workers) workers)" }.joined(separator: ", ")
        try Output.line("\(options.config): correct; \(loaded.queues.count) queues: \(queues)")
        noteHandlersInSwift(loaded)
        if connect { try await checkDatabase(loaded) }
    }

    /// No mistake: the file may be that of a program which has them.
    private func noteHandlersInSwift(_ loaded: Configuration) {
        let names = loaded.queues.compactMap { queue -> String? in
            guard case .swift(let name) = queue.handler else { return nil }
            return "\"\(name)\""
        }
        guard !names.isEmpty else { return }
        Output.complain(
            "note: a program of your own must register the Swift handlers \(names.joined(separator: ", ")); pgmqd itself "
                + "has none, and `pgmqd run` would end with 78"
        )
    }

    private func checkDatabase(_ loaded: Configuration) async throws {
        let (problems, ways) = try await options.connected(loaded) { connection in
            var problems: [String] = []
            var ways: [String] = []
            for queue in loaded.queues {
                let way = try await Schema(connection).wayOfWorking(QueueName(queue.writtenName))
                if let way { ways.append(way) }
                problems += try await Schema(connection).problems(
                    of: QueueName(queue.writtenName),
                    deadLetter: QueueName(queue.deadLetter)
                )
            }
            return (problems, ways)
        }
        for way in ways { try Output.line(way) }
        guard problems.isEmpty else { throw Failure(message: problems.joined(separator: "\n"), code: 78) }
        try Output.line("database: all that the queues need is there")
    }
}
