import ArgumentParser
import Foundation
import PGMQ
import PGMQWorker
import Postgres

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration, and with --connect the database it names.",
        discussion: "Every mistake is told at once, with its file, line and key. Exit code 78 if there is one."
    )

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Also connect, and look for the queues, their dead-letter queues and our own schema.")
    var connect = false

    func run() async throws {
        let loaded: Configuration
        do {
            loaded = try Configuration.load(path: options.config, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw Failure.configuration(error)
        }
        let queues = loaded.queues.map { "\($0.name) (\($0.workers) workers)" }.joined(separator: ", ")
        Output.line("\(options.config): correct; \(loaded.queues.count) queues: \(queues)")
        if connect { try await checkDatabase(loaded) }
    }

    private func checkDatabase(_ loaded: Configuration) async throws {
        do {
            let connection = try await Connection.open(url: loaded.database.url.value, deadline: .seconds(10))
            var problems: [String] = []
            for queue in loaded.queues {
                problems += try await Schema(connection).problems(
                    of: QueueName(queue.writtenName),
                    deadLetter: QueueName(queue.deadLetter)
                )
            }
            await connection.close()
            guard problems.isEmpty else { throw Failure(message: problems.joined(separator: "\n"), code: 78) }
            Output.line("database: all that the queues need is there")
        } catch let error as PostgresError {
            throw Failure.database(error)
        }
    }
}
