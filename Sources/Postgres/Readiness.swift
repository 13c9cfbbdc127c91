import Dispatch
import Glibc

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
        let box = Source(source, descriptor, direction == .read ? POLLIN : POLLOUT)
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
        private let descriptor: Int32
        private let events: Int32
        private var ready = false

        init(_ source: any DispatchSourceProtocol, _ descriptor: Int32, _ events: Int32) {
            self.source = source
            self.descriptor = descriptor
            self.events = events
        }

        func cancel() {
            source.cancel()
        }

        /// Half a second, and at last no longer than is left, rounded up.
        private static func pause(until end: ContinuousClock.Instant) -> DispatchTimeInterval {
            .milliseconds(Int(min(500, max(0, (end - .now).milliseconds) + 1)))
        }

        func run(until end: ContinuousClock.Instant, queue: DispatchQueue, _ done: @escaping @Sendable (Bool) -> Void) {
            let timer = DispatchSource.makeTimerSource(queue: queue)
            timer.setEventHandler {
                // Dispatch is not relied on alone: what it does not tell of would cost the whole deadline.
                var looked = pollfd(fd: self.descriptor, events: Int16(self.events), revents: 0)
                self.ready = poll(&looked, 1, 0) == 1
                guard !self.ready, .now < end else { return self.source.cancel() }
                timer.schedule(deadline: .now() + Self.pause(until: end))
            }
            timer.schedule(deadline: .now() + Self.pause(until: end))
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
