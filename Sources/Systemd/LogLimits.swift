/// How much of a log is written, and how much waits to be written.
package struct LogLimits: Sendable {
    /// Lines of one kind that pass within one window.
    package var burst = 10
    package var window: Duration = .seconds(10)
    /// Kinds that are told apart at one time.
    package var kinds = 1024
    /// Lines that wait while nobody reads the log.
    package var lines = 4096
    /// Bytes of those lines.
    package var bytes = 4 << 20

    package init() {}
}
