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

    private let watches: [Watch]

    /// - Parameter onEvent: called on a queue of its own.
    init(onEvent: @escaping @Sendable (Event) -> Void) {
        let queue = DispatchQueue(label: "signals")
        let stops = Stops()
        signal(SIGPIPE, SIG_IGN)
        watches = [
            Watch(SIGTERM, queue) { onEvent(.stop(isFirst: stops.isFirst())) },
            Watch(SIGINT, queue) { onEvent(.stop(isFirst: stops.isFirst())) },
            Watch(SIGTSTP, queue) { onEvent(.quiet) },
            Watch(SIGCONT, queue) { onEvent(.resume) },
            Watch(SIGUSR1, queue) { onEvent(.dump) },
            Watch(SIGHUP, queue) { onEvent(.reload) },
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

    private final class Watch: @unchecked Sendable {
        // Sendable: set up in init and only cancelled afterwards, which dispatch allows from anywhere.
        private let source: any DispatchSourceSignal

        init(_ number: Int32, _ queue: DispatchQueue, action: @escaping @Sendable () -> Void) {
            // Dispatch watches beside the default action, which would end or stop the process.
            if number != SIGCONT { signal(number, SIG_IGN) }
            source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler(handler: action)
            source.activate()
        }

        func cancel() {
            source.cancel()
        }
    }
}
