import CDaemonProcess
import Dispatch
import Synchronization

/// Tells of some signals, in the order in which they came, instead of what they would do by themselves; until it is
/// cancelled or gone.
///
/// The first watch is told of the signals that were kept before it, too. Afterwards, a signal that nobody watches is
/// dropped.
package final class SignalWatch: Sendable {
    private let number: Int

    /// - Parameter action: called on the queue, with the signal's number.
    package init(_ signals: [Int32], on queue: DispatchQueue, action: @escaping @Sendable (Int32) -> Void) {
        // Where there is no pipe for it, a signal keeps its own action.
        for signal in signals { _ = daemonprocess_keep_signal(signal) }
        number = SignalReader.shared.add(.init(signals: signals, queue: queue, action: action))
    }

    deinit {
        cancel()
    }

    package func cancel() {
        SignalReader.shared.remove(number)
    }
}

/// Gives the signals that the process has kept to the watches.
private final class SignalReader: Sendable {
    struct Watch: Sendable {
        let signals: [Int32]
        let queue: DispatchQueue
        let action: @Sendable (Int32) -> Void
    }

    private struct State {
        var watches: [Int: Watch] = [:]
        var lastNumber = 0
        /// Lives from the first watch on.
        var source: (any DispatchSourceRead)?
    }

    static let shared = SignalReader()

    private let state = Mutex(State())

    func add(_ watch: Watch) -> Int {
        state.withLock { state in
            state.lastNumber += 1
            state.watches[state.lastNumber] = watch
            if state.source == nil { state.source = makeSource() }
            return state.lastNumber
        }
    }

    func remove(_ number: Int) {
        // Released outside the lock, with whatever the action holds.
        _ = state.withLock { $0.watches.removeValue(forKey: number) }
    }

    private func makeSource() -> (any DispatchSourceRead)? {
        let descriptor = daemonprocess_signal_descriptor()
        guard descriptor >= 0 else { return nil }
        let queue = DispatchQueue(label: "kept signals")
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setEventHandler { [self] in
            while case let signal = daemonprocess_take_signal(), signal != 0 { tell(signal) }
        }
        source.activate()
        return source
    }

    private func tell(_ signal: Int32) {
        state.withLock { state in
            for watch in state.watches.values where watch.signals.contains(signal) {
                watch.queue.async { watch.action(signal) }
            }
        }
    }
}
