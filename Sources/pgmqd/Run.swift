import ArgumentParser
import PGMQWorker

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the daemon until it is stopped by a signal.",
        discussion: """
            SIGTERM and SIGINT stop it: nothing new is claimed, running handlers get daemon.shutdown_grace; a second one \
            ends it at once. SIGTSTP and SIGCONT make it quiet and resume. SIGUSR1 logs what every worker is doing.
            """
    )

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        throw ExitCode(await DaemonProgram.run(configuration: options.config))
    }
}

struct ConfigurationOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The configuration file.")
    var config: String = DaemonProgram.defaultPath
}
