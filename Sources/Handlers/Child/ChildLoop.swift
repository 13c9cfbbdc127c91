import CSpawn
import Glibc
import Synchronization

/// Starts, watches and ends all children, on one thread that lives as long as the process.
///
/// One thread, because the parent-death signal of a child follows the thread that started it; and that thread watches
/// too, so that a child costs one way there and one way back, and its state needs no lock.
final class ChildLoop: Sendable {
    static let shared = Result { () throws(SystemError) in try ChildLoop() }

    enum Command {
        case start(ChildOrder, ChildTicket, CheckedContinuation<ChildEnd, Never>)
        case terminate(ChildTicket)
    }

    /// Readable when there are commands.
    let doorbell: Descriptor
    /// What a child reads that has no input, and where its standard output goes.
    let null: Descriptor
    private let bell: Descriptor
    private let inbox = Mutex<[Command]>([])

    private init() throws(SystemError) {
        let pipe = try Pipe(doorbell: true)
        doorbell = pipe.reading
        bell = pipe.writing
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw .last }
        self.null = Descriptor(null)
        cspawn_keep_exit_statuses()
        try startThread()
    }

    /// Runs a child to its end. Cancelling the task asks the child to end, and waits for that.
    func run(_ order: ChildOrder) async -> ChildEnd {
        let ticket = ChildTicket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { post(.start(order, ticket, $0)) }
        } onCancel: {
            ticket.cancel()
            post(.terminate(ticket))
        }
    }

    /// The commands posted since the last call. On the loop's thread.
    func takeCommands() -> [Command] {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            _ = read(doorbell.raw, buffer.baseAddress, buffer.count)
        }
        return inbox.withLock { commands in
            let taken = commands
            commands = []
            return taken
        }
    }

    private func post(_ command: Command) {
        let isFirst = inbox.withLock { commands in
            commands.append(command)
            return commands.count == 1
        }
        // After the append: the loop empties the pipe before it takes the commands.
        if isFirst { write(bell.raw, [1] as [UInt8], 1) }
    }

    private func startThread() throws(SystemError) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(&thread, nil, runLoop, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw SystemError(code)
        }
        pthread_detach(thread)
    }
}

private func runLoop(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    cspawn_name_thread("pgmqd-children")
    // The process's signals are for other threads.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, nil)
    var nursery = Nursery(Unmanaged<ChildLoop>.fromOpaque(context).takeRetainedValue())
    while true {
        nursery.turn()
    }
}
