import CDaemonProcess
import Foundation
import Logging
import Systemd

/// What `main` calls: loads the configuration, runs the daemon, and answers with the process's exit code.
public enum DaemonProgram {
    public static let defaultPath = "/etc/pgmqd/pgmqd.toml"

    /// How long the end waits for whoever reads the log.
    private static let flushAllowance: Duration = .seconds(1)

    /// Call this first in `main`, behind nothing but the registration of handlers. From this call on, a signal that
    /// arrives before the daemon can act on it is kept until it can: SIGTERM ends the daemon with 0 as soon as it runs.
    /// Before this call, signals act as in any other program: SIGTERM, SIGINT, SIGHUP and SIGUSR1 kill it. After its
    /// return they do nothing, so exit with what it returns.
    ///
    /// - Returns: 0 after a stop, 78 where the configuration is wrong, 1 for anything unforeseen.
    public static func run(configuration path: String, handlers: HandlerRegistry = HandlerRegistry()) async -> Int32 {
        // The process may end as soon as this returns.
        defer { LogSink.standardError.flush(within: flushAllowance) }
        // Before anything is opened. `pgmqd` has done both in its first instructions.
        daemonprocess_secure_streams()
        let failure = daemonprocess_keep_signals()
        guard failure == 0 else {
            LogSink.standardError.write("signals cannot be handled: \(String(cString: strerror(failure)))")
            return 1
        }
        // Taken before any child is started: none may inherit them.
        let manager = ServiceManager.fromEnvironment()
        let configuration: Configuration
        do throws(ConfigurationError) {
            configuration = try .load(path: path, environment: ProcessInfo.processInfo.environment)
        } catch {
            LogSink.standardError.write("\(error)")
            return 78
        }
        LoggingSystem.bootstrap(configuration.daemon.logFormat.handlerFactory(level: configuration.daemon.logLevel))
        let logger = Logger(label: "pgmqd")
        do {
            try await Daemon(configuration: configuration, handlers: handlers, manager: manager, logger: logger).run()
            return 0
        } catch let error as StartError {
            logger.critical("daemon cannot run", metadata: ["reason": "\(error)"])
            return 78
        } catch {
            logger.critical("daemon failed", metadata: ["error": "\(error)"])
            return 1
        }
    }
}
