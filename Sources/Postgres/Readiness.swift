import Dispatch

/// Waits for a descriptor once. The source is new each time and gone when this returns, because between two steps
/// of connecting libpq may close its socket and open another under the same number.
enum Readiness {
    enum Direction {
        case read
        case write
    }

    /// - Returns: false when the time ran out or the task was cancelled.
    static func wait(
        for direction: Direction,
        on descriptor: Int32,
        until end: ContinuousClock.Instant,
        queue: DispatchQueue
    ) async -> Bool {
        let source: any DispatchSourceProtocol =
            direction == .read
            ? DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
            : DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
        let box = Source(source)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                box.run(until: end, queue: queue) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            box.cancel()
        }
    }

    /// `@unchecked Sendable`, because the source is only cancelled from outside, which dispatch allows from anywhere, and
    /// `ready` is touched by its handlers alone, on one queue. (A `Mutex` will not take a source whose handlers hold it.)
    private final class Source: @unchecked Sendable {
        private let source: any DispatchSourceProtocol
        private var ready = false

        init(_ source: any DispatchSourceProtocol) {
            self.source = source
        }

        func cancel() {
            source.cancel()
        }

        func run(until end: ContinuousClock.Instant, queue: DispatchQueue, _ done: @escaping @Sendable (Bool) -> Void) {
            let timer = DispatchSource.makeTimerSource(queue: queue)
            timer.setEventHandler { self.source.cancel() }
            timer.schedule(deadline: .now() + .milliseconds(Int(max(0, (end - .now).milliseconds))))
            source.setEventHandler {
                self.ready = true
                self.source.cancel()
            }
            source.setCancelHandler {
                timer.cancel()
                done(self.ready)
            }
            source.activate()
            timer.activate()
        }
    }
}
