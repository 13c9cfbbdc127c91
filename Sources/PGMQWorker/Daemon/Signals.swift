import Dispatch
import Glibc
import Logging
import Synchronization

/// Turns the process's signals into events. (swift-service-lifecycle's own signals lack SIGTSTP.)
final class Signals: Sendable {
    enum Event: Sendable {
        case stop(isFirst: Bool)
        case quiet
        case resume
        case dump
        case reload
    }

    private let watches: [SignalWatch]

    /// - Parameter onEvent: called on a queue of its own.
    init(onEvent: @escaping @Sendable (Event) -> Void) {
        let queue = DispatchQueue(label: "signals")
        let stops = Stops()
        signal(SIGPIPE, SIG_IGN)
        watches = [
            SignalWatch(SIGTERM, on: queue) { onEvent(.stop(isFirst: stops.isFirst())) },
            SignalWatch(SIGINT, on: queue) { onEvent(.stop(isFirst: stops.isFirst())) },
            SignalWatch(SIGTSTP, on: queue) { onEvent(.quiet) },
            SignalWatch(SIGCONT, on: queue) { onEvent(.resume) },
            SignalWatch(SIGUSR1, on: queue) { onEvent(.dump) },
            SignalWatch(SIGHUP, on: queue) { onEvent(.reload) },
        ]
    }

    func cancel() {
        for watch in watches { watch.cancel() }
    }

    private final class Stops: Sendable {
        private let count = Mutex(0)

        func isFirst() -> Bool {
            count.withLock { count in
                count += 1
                return count == 1
            }
        }
    }
}
