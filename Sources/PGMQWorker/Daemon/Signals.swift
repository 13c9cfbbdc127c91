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

    private let watch: SignalWatch

    /// - Parameter onEvent: called on a queue of its own.
    init(onEvent: @escaping @Sendable (Event) -> Void) {
        signal(SIGPIPE, SIG_IGN)
        let stops = Stops()
        let signals = [SIGTERM, SIGINT, SIGTSTP, SIGCONT, SIGUSR1, SIGHUP]
        watch = SignalWatch(signals, on: DispatchQueue(label: "signals")) { signal in
            switch signal {
            case SIGTSTP: onEvent(.quiet)
            case SIGCONT: onEvent(.resume)
            case SIGUSR1: onEvent(.dump)
            case SIGHUP: onEvent(.reload)
            default: onEvent(.stop(isFirst: stops.isFirst()))
            }
        }
    }

    func cancel() {
        watch.cancel()
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
