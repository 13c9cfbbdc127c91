import Dispatch

/// Runs an actor's jobs on a dispatch queue, so that a dispatch source on the same queue can enter the actor with
/// `assumeIsolated`, without a hop. (`DispatchSerialQueue`, which would do, does not exist on Linux.)
final class QueueExecutor: SerialExecutor {
    let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    func checkIsolated() {
        dispatchPrecondition(condition: .onQueue(queue))
    }
}
