import Engine
import Glibc

/// A child that runs. Touched by the loop's thread alone.
struct Child {
    let ticket: ChildTicket
    let reply: CheckedContinuation<ChildEnd, Never>
    let pid: pid_t
    /// Readable once the process has ended.
    let pidfd: Descriptor
    /// Nil after its end.
    private(set) var errors: Descriptor?
    /// When SIGKILL follows SIGTERM.
    private(set) var killAt: Instant?

    private let grace: Duration
    private var tail = StderrTail()
    private var isTerminated = false

    init(
        _ process: StartedProcess,
        ticket: ChildTicket,
        grace: Duration,
        reply: CheckedContinuation<ChildEnd, Never>
    ) {
        pid = process.pid
        pidfd = process.pidfd
        errors = process.errors
        self.ticket = ticket
        self.grace = grace
        self.reply = reply
    }

    /// Asks the whole group to end.
    mutating func terminate(now: Instant) {
        guard !isTerminated else { return }
        isTerminated = true
        killAt = now + grace
        // Never to the group and the process both: many programs take a second SIGTERM for "at once".
        if kill(-pid, SIGTERM) != 0 { kill(pid, SIGTERM) }
        // One that is stopped would not notice.
        kill(-pid, SIGCONT)
    }

    mutating func killIfDue(now: Instant) {
        guard let killAt, killAt <= now else { return }
        self.killAt = nil
        kill(-pid, SIGKILL)
        // It may have left its group.
        kill(pid, SIGKILL)
    }

    /// Takes in what standard error holds; whether there may be more.
    @discardableResult
    mutating func readErrors() -> Bool {
        guard let errors else { return false }
        let count = withUnsafeTemporaryAllocation(byteCount: 16 * 1024, alignment: 16) { buffer in
            let count = read(errors.raw, buffer.baseAddress, buffer.count)
            if count > 0 { tail.append(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            return count
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return false }
        if count <= 0 { self.errors = nil }
        return count > 0
    }

    /// Nil while the process runs. Else nothing of it is left: no group, no zombie.
    mutating func collect() -> ChildEnd? {
        guard let status = ExitStatus(ofProcess: pidfd, reap: false) else { return nil }
        // Whom it left behind. Before the zombie is reaped, for until then nobody else can have the group's number.
        kill(-pid, SIGKILL)
        // A pipe holds at most 1 MiB; one who escaped from the group may write for ever.
        var reads = 0
        while reads < 64, readErrors() {
            reads += 1
        }
        _ = ExitStatus(ofProcess: pidfd, reap: true)
        return .ended(status, errors: tail.text, terminated: isTerminated)
    }
}
