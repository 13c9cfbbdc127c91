import ArgumentParser
import PGMQWorker

@main
struct Pgmqd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgmqd",
        abstract: "Works through PGMQ queues.",
        version: Daemon.version,
        subcommands: [Run.self]
    )
}
