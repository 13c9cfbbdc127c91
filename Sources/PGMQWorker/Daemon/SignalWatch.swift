import Dispatch
import Glibc
import Synchronization

/// Tells of one signal instead of what it would do by itself, until it is cancelled or gone.
package final class SignalWatch: Sendable {
    private let source: Mutex<any DispatchSourceSignal>

    /// - Parameter action: called on the queue.
    package init(_ number: Int32, on queue: DispatchQueue, action: @escaping @Sendable () -> Void) {
        // Dispatch watches beside the default action, which would end or stop the process.
        if number != SIGCONT { signal(number, SIG_IGN) }
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler(handler: action)
        source.activate()
        self.source = Mutex(source)
    }

    package func cancel() {
        source.withLock { $0.cancel() }
    }
}
