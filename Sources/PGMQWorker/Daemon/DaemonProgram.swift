import Foundation
import Logging
import Systemd

/// What `main` calls: loads the configuration, runs the daemon, and answers with the process's exit code.
public enum DaemonProgram {
    public static let defaultPath = "/etc/pgmqd/pgmqd.toml"

    /// - Returns: 0 after a stop, 78 where the configuration is wrong, 1 for anything unforeseen.
    public static func run(configuration path: String, handlers: HandlerRegistry = HandlerRegistry()) async -> Int32 {
        // Taken before anything else: no child may inherit them.
        let manager = ServiceManager.fromEnvironment()
        let configuration: Configuration
        do throws(ConfigurationError) {
            configuration = try .load(path: path, environment: ProcessInfo.processInfo.environment)
        } catch {
            complain("\(error)")
            return 78
        }
        LoggingSystem.bootstrap(configuration.daemon.logFormat.handlerFactory(level: configuration.daemon.logLevel))
        let logger = Logger(label: "pgmqd")
        do {
            try await Daemon(configuration: configuration, handlers: handlers, manager: manager, logger: logger).run()
            return 0
        } catch let error as StartError {
            logger.critical("cannot run: \(error)")
            return 78
        } catch {
            logger.critical("ended by an error", metadata: ["error": "\(error)"])
            return 1
        }
    }

    private static func complain(_ text: String) {
        // Nobody may be reading it.
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
