import Logging
import Systemd

extension Configuration {
    public struct Daemon: Sendable, Equatable {
        /// Worker tasks of a queue that does not say how many it wants.
        public var workers: Int
        /// How long running handlers may go on after SIGTERM.
        public var shutdownGrace: Duration
        public var logFormat: LogFormat
        public var logLevel: Logger.Level
        /// The most that bodies and headers held at one time may take, over all queues.
        public var maxInflightBytes: Int
        /// Where state lies that this host keeps: traces of crashes. nil: nowhere.
        public var stateDirectory: String?

        public init(
            workers: Int = 8,
            shutdownGrace: Duration = .seconds(25),
            logFormat: LogFormat = .auto,
            logLevel: Logger.Level = .info,
            maxInflightBytes: Int = 64 << 20,
            stateDirectory: String? = nil
        ) {
            self.workers = workers
            self.shutdownGrace = shutdownGrace
            self.logFormat = logFormat
            self.logLevel = logLevel
            self.maxInflightBytes = maxInflightBytes
            self.stateDirectory = stateDirectory
        }
    }
}
