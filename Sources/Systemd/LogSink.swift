import Logging

/// Takes the lines of log handlers and writes them from a thread of its own.
///
/// No caller ever waits for the reader of the log: lines of one kind are folded, lines that do not fit are dropped, and
/// both are counted and told. The thread alone blocks in write(2) or sendto(2).
public final class LogSink: Sendable {
    /// Standard error and the journal of this machine, for the whole process.
    public static let standardError = LogSink(descriptor: 2)

    private let descriptor: Int32
    private let journalPath: String
    private let monitor: Monitor<LogSinkState>

    /// - Parameter descriptor: it stays open as long as the sink has lines.
    public convenience init(descriptor: Int32) {
        self.init(descriptor: descriptor, limits: LogLimits())
    }

    package init(descriptor: Int32, journalPath: String = JournalSocket.path, limits: LogLimits) {
        self.descriptor = descriptor
        self.journalPath = journalPath
        monitor = Monitor(LogSinkState(limits))
    }

    deinit {
        // The thread writes what is left, and ends.
        monitor.withLock { $0.close(now: .now) }
        monitor.wake()
    }

    /// Writes a text as it is, for a program that ends before it has a logger.
    public func write(_ text: String) {
        append(LogRecord(line: text), in: TextRendering())
    }

    /// Returns when all lines are written, or when the time is over: a reader that has stopped holds nobody.
    ///
    /// - Returns: whether all lines are written.
    @discardableResult
    public func flush(within limit: Duration) -> Bool {
        let end = ContinuousClock.now + limit
        monitor.withLock { $0.endFolding(now: .now) }
        wakeThread()
        return monitor.wait { state in
            if state.isIdle { return .done(true) }
            return .now < end ? .wait(until: end) : .done(false)
        }
    }

    /// - Parameter folds: whether lines of one kind may be told as a count. Lines below `info` never are, because whoever
    ///   turned them on wants to see them.
    func log(_ event: LogEvent, by handler: some LogHandler, in rendering: some LogRendering, folds: Bool) {
        guard folds, event.level >= .info else {
            guard monitor.withLock({ $0.hasRoom() }) else { return }
            let fields = event.fields(base: handler.metadata, provider: handler.metadataProvider)
            return append(rendering.record(of: event, fields: fields), in: rendering)
        }
        let kind = LogKind(of: event, by: handler)
        let now = ContinuousClock.now
        // Decided first, because rendering costs more than everything else here.
        let (passes, wakes) = monitor.withLock { $0.admit(event, of: kind, by: handler, in: rendering, now: now) }
        if passes {
            let fields = event.fields(base: handler.metadata, provider: handler.metadataProvider)
            append(rendering.record(of: event, fields: fields), in: rendering)
        } else if wakes {
            wakeThread()
        }
    }

    private func append(_ record: LogRecord, in rendering: some LogRendering) {
        monitor.withLock { $0.append(record, in: rendering) }
        wakeThread()
    }

    private func wakeThread() {
        if monitor.withLock({ $0.claimThread() }), !startThread() { monitor.withLock { $0.threadNotStarted() } }
        monitor.wake()
    }

    private func startThread() -> Bool {
        DetachedThread.start { [descriptor, journalPath, monitor] in
            var output = LogOutput(descriptor: descriptor, journal: journalPath)
            while let item = monitor.wait({ $0.next(now: .now) }) {
                let isWritten = output.write(item.record())
                monitor.withLock { $0.wrote(item, isWritten) }
                monitor.wake()
            }
        }
    }
}
