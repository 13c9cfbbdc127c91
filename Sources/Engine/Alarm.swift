import Dispatch
import Synchronization

/// One timer for all of a queue's deadlines. Setting it later than it stands costs nothing: it fires, and is asked
/// again.
final class Alarm: Sendable {
    private struct State {
        var timer: (any DispatchSourceTimer)?
        var armed: Instant?
    }

    private let queue: DispatchQueue
    private let onFire: @Sendable () -> Void
    private let state = Mutex(State())

    init(label: String, onFire: @escaping @Sendable () -> Void) {
        queue = DispatchQueue(label: label)
        self.onFire = onFire
    }

    func arm(at time: Instant?) {
        guard let time else { return }
        state.withLock { state in
            if let armed = state.armed, armed <= time { return }
            state.armed = time
            let timer = state.timer ?? makeTimer()
            let delay = max(0, (time - .now).inMicroseconds)
            timer.schedule(deadline: .now() + .microseconds(Int(min(delay, 86_400_000_000))))
            if state.timer == nil {
                state.timer = timer
                timer.activate()
            }
        }
    }

    func cancel() {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            state.armed = .now + .seconds(-1)
        }
    }

    private func makeTimer() -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [weak self] in
            guard let self else { return }
            state.withLock { $0.armed = nil }
            onFire()
        }
        return timer
    }
}
