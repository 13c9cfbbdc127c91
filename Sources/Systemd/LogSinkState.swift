import Logging

/// What callers and the writing thread of a sink share: the lines on their way from the former to the latter.
struct LogSinkState: Sendable {
    enum Item: Sendable {
        case record(LogRecord)
        /// Stands for that many lines.
        case notice(LogNotice, lines: Int)

        var lines: Int {
            if case .notice(_, let lines) = self { lines } else { 1 }
        }

        func record() -> LogRecord {
            switch self {
            case .record(let record): record
            case .notice(let notice, _): notice.record()
            }
        }
    }

    /// A notice is rendered when it is written; until then this stands for its size.
    private static let noticeSize = 512

    private var hasThread = false
    private var folding: LogFolding<LogNotice>
    private var queue: LogQueue<Item>
    /// The format of the first line: a notice of dropped lines has it too.
    private var rendering: (any LogRendering)?
    /// Lines that could not be written, and are told of when one is.
    private var unwritten = 0
    private var isWriting = false
    private var isClosed = false

    init(_ limits: LogLimits) {
        folding = LogFolding(limits)
        queue = LogQueue(limits)
    }

    var isIdle: Bool { queue.isEmpty && !isWriting }

    // MARK: - Callers

    /// - Returns: whether the line is to be rendered and appended; if not, whether the thread has something new to do.
    mutating func admit(
        _ event: LogEvent,
        of kind: LogKind,
        by handler: some LogHandler,
        in rendering: some LogRendering,
        now: ContinuousClock.Instant
    ) -> (passes: Bool, wakes: Bool) {
        if self.rendering == nil { self.rendering = rendering }
        let waited = folding.nextEnd != nil
        let (passes, folds) = folding.admit(
            kind,
            now: now,
            sample: LogNotice(event, of: kind, by: handler, in: rendering)
        )
        tell(folds)
        let wakes = !folds.isEmpty || !waited && folding.nextEnd != nil
        guard passes, queue.isDropping else { return (passes, wakes) }
        // Not worth rendering.
        queue.drop(1)
        return (false, wakes)
    }

    /// - Returns: false for a line that is not worth rendering, because it is dropped.
    mutating func hasRoom() -> Bool {
        guard queue.isDropping else { return true }
        queue.drop(1)
        return false
    }

    mutating func append(_ record: LogRecord, in rendering: some LogRendering) {
        if self.rendering == nil { self.rendering = rendering }
        queue.append(.record(record), size: record.size)
    }

    mutating func endFolding(now: ContinuousClock.Instant) {
        tell(folding.endAll(now: now))
    }

    mutating func close(now: ContinuousClock.Instant) {
        endFolding(now: now)
        isClosed = true
    }

    /// - Returns: true for the one caller who has to start the thread.
    mutating func claimThread() -> Bool {
        defer { hasThread = true }
        return !hasThread
    }

    mutating func threadNotStarted() {
        hasThread = false
    }

    private mutating func tell(_ folds: [LogFolding<LogNotice>.Fold]) {
        for fold in folds {
            let notice = fold.sample.counting(fold.count, within: fold.span)
            queue.append(.notice(notice, lines: fold.count), size: Self.noticeSize, lines: fold.count)
        }
    }

    // MARK: - The writing thread

    /// - Returns: the next line to write, nil when the sink is closed and has none.
    mutating func next(now: ContinuousClock.Instant) -> Monitor<LogSinkState>.Look<Item?> {
        tell(folding.end(now: now))
        switch queue.takeFirst() {
        case .item(let item):
            isWriting = true
            return .done(item)
        case .dropped(let lines):
            guard let rendering else { return .wait(until: now) }
            isWriting = true
            return .done(.notice(.dropped(lines, rendering: rendering), lines: lines))
        case nil:
            return isClosed ? .done(nil) : .wait(until: folding.nextEnd)
        }
    }

    mutating func wrote(_ item: Item, _ isWritten: Bool) {
        isWriting = false
        if isWritten {
            queue.drop(unwritten)
            unwritten = 0
        } else {
            unwritten += item.lines
        }
    }
}
