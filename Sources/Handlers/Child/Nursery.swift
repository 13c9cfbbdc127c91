import CSpawn
import Engine
import Glibc

/// The loop's state, confined to its thread: the children that run and the orders that wait.
struct Nursery: ~Copyable {
    private let loop: ChildLoop
    private var children: [Child] = []
    private var waiting: [(ChildOrder, ChildTicket, CheckedContinuation<ChildEnd, Never>)] = []
    /// The doorbell, then two entries for each child. Made anew each turn: poll(2) keeps nothing that could go stale
    /// when a descriptor is closed, and its cost is small beside that of starting a process.
    private var polled: [pollfd] = []

    init(_ loop: ChildLoop) {
        self.loop = loop
    }

    mutating func turn() {
        poll()
        // Ends before cancellations: a child that has ended by itself was not terminated.
        collect()
        for command in loop.takeCommands() {
            switch command {
            case .start(let order, let ticket, let reply):
                waiting.append((order, ticket, reply))
            case .terminate(let ticket):
                // One that is not here has ended, or waits and will be met with its ticket cancelled.
                if let index = children.firstIndex(where: { $0.ticket === ticket }) {
                    children[index].terminate(now: .now)
                }
            }
        }
        // One a turn, so that the ends of the others are noticed in between.
        if !waiting.isEmpty {
            let (order, ticket, reply) = waiting.removeFirst()
            start(order, ticket, reply)
        }
        for index in children.indices where children[index].killAt != nil {
            children[index].killIfDue(now: .now)
        }
    }

    private mutating func poll() {
        polled.removeAll(keepingCapacity: true)
        polled.append(pollfd(fd: loop.doorbell.raw, events: Int16(POLLIN), revents: 0))
        for child in children {
            polled.append(pollfd(fd: child.pidfd.raw, events: Int16(POLLIN), revents: 0))
            // A negative descriptor is passed over.
            polled.append(pollfd(fd: child.errors?.raw ?? -1, events: Int16(POLLIN), revents: 0))
        }
        if Glibc.poll(&polled, nfds_t(polled.count), timeout) < 0 {
            // No memory, or a limit lowered under us. Nothing that follows blocks, so try everything, a little later.
            usleep(10_000)
            for index in polled.indices {
                polled[index].revents = Int16(POLLIN)
            }
        }
    }

    /// In milliseconds, rounded up; -1 for ever.
    private var timeout: Int32 {
        guard waiting.isEmpty else { return 0 }
        guard let due = children.lazy.compactMap(\.killAt).min() else { return -1 }
        let left = Instant.now.duration(to: due).inMicroseconds
        return Int32(clamping: max(0, left + 999) / 1000)
    }

    private mutating func collect() {
        // From the last, so that removing one moves none that is still to come.
        for index in children.indices.reversed() {
            if polled[2 + 2 * index].revents != 0 { children[index].readErrors() }
            guard polled[1 + 2 * index].revents != 0, let end = children[index].collect() else { continue }
            children.swapAt(index, children.count - 1)
            // The descriptors are closed before the reply, so that whoever counts them then finds none.
            let reply = children.removeLast().reply
            reply.resume(returning: end)
        }
    }

    private mutating func start(
        _ order: ChildOrder,
        _ ticket: ChildTicket,
        _ reply: CheckedContinuation<ChildEnd, Never>
    ) {
        guard !ticket.isCancelled else {
            reply.resume(returning: .notStarted("cancelled before \(order.path) was started"))
            return
        }
        do throws(StartFailure) {
            let process = try order.start(null: loop.null)
            children.append(Child(process, ticket: ticket, grace: order.grace, reply: reply))
        } catch {
            reply.resume(returning: .notStarted("cannot start \(order.path): \(error)"))
        }
    }
}
