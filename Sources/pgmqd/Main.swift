import ArgumentParser
import CStart
import PGMQWorker

@main
struct Pgmqd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pgmqd",
        abstract: "The worker daemon for PGMQ, the message queue inside PostgreSQL.",
        discussion: """
            First steps, with no database of your own:

              pgmqd dev -c my.toml          a private PostgreSQL with PGMQ and the configuration's queues
              pgmqd send emails '{"to":1}'  in another terminal
              pgmqd queues                  what waits where

            In production: pgmqd migrate once, pgmqd check after every change, pgmqd run as a systemd service.

            Exit codes: 0 done, 1 failed, 64 usage, 69 database unreachable, 71 /proc is not mounted, \
            77 not permitted, 78 configuration.
            """,
        version: Daemon.version,
        subcommands: [
            Run.self, Check.self, Migrate.self, GrantsCommand.self, Dev.self, Send.self, Queues.self, Peek.self,
            DeadLetters.self, Bench.self,
        ]
    )

    static func main() async {
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                // Before the first thread of libdispatch runs, which would end the process at any moment.
                if !ProcessFolder.isMounted { throw ProcessFolder.failure(of: command) }
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            if !failure.message.isEmpty { Output.complain(failure.message) }
            exit(withError: ExitCode(failure.code))
        } catch {
            exit(withError: error)
        }
    }

    /// Without the program's name. `CommandLine.arguments` would be empty where /proc is not mounted.
    private static var arguments: [String] {
        (0..<cstart_argument_count()).dropFirst().map { String(cString: cstart_argument($0)) }
    }
}
