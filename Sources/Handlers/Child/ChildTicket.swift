import Synchronization

/// Names one ordered child, before and after it has started.
final class ChildTicket: Sendable {
    private let flag = Atomic(false)

    /// Set before the loop is told, so that an order which it meets after the cancellation is not started.
    func cancel() {
        flag.store(true, ordering: .releasing)
    }

    var isCancelled: Bool {
        flag.load(ordering: .acquiring)
    }
}
