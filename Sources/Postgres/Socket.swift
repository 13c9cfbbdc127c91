import CLibPQ
import Dispatch
import Glibc

/// The connection's socket, watched. All of it happens on the connection's queue.
///
/// `@unchecked Sendable`, because its actor owns it and enters it on that queue alone; the actor's `deinit`, which runs
/// anywhere, is the last to hold it.
final class Socket: @unchecked Sendable {
    let handle: Handle
    private let queue: DispatchQueue
    private var reader: (any DispatchSourceRead)?
    private var writer: (any DispatchSourceWrite)?
    private var onWritable: @Sendable () -> Void = {}
    /// The sources that dispatch has not let go of yet.
    private let watching = DispatchGroup()
    private var isClosed = false

    init(handle: Handle, queue: DispatchQueue) {
        self.handle = handle
        self.queue = queue
    }

    func start(onReadable: @escaping @Sendable () -> Void, onWritable: @escaping @Sendable () -> Void) {
        self.onWritable = onWritable
        let reader = DispatchSource.makeReadSource(fileDescriptor: PQsocket(handle.pointer), queue: queue)
        self.reader = reader
        watch(reader, onReadable)
    }

    /// Watched only while libpq has bytes that the kernel would not take.
    func watchWritable(_ wanted: Bool) {
        guard wanted != (writer != nil) else { return }
        if wanted {
            let writer = DispatchSource.makeWriteSource(fileDescriptor: PQsocket(handle.pointer), queue: queue)
            self.writer = writer
            watch(writer, onWritable)
        } else {
            writer?.cancel()
            writer = nil
        }
    }

    private func watch(_ source: any DispatchSourceProtocol, _ handler: @escaping @Sendable () -> Void) {
        let watching = watching
        watching.enter()
        source.setEventHandler(handler: handler)
        source.setCancelHandler { watching.leave() }
        source.activate()
    }

    /// Whether there is more to read, without dispatch's telling; with no time to wait, only where dispatch will not
    /// tell: of a hang-up it does once, together with what is left to read, and then lets go of the descriptor.
    func hasMore(within time: Duration) -> Bool {
        let awaited = time > .zero ? POLLIN : 0
        var descriptor = pollfd(fd: PQsocket(handle.pointer), events: Int16(awaited), revents: 0)
        return poll(&descriptor, 1, Int32(time.milliseconds)) == 1
    }

    /// The descriptor may be closed only when dispatch has stopped watching it.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        reader?.cancel()
        writer?.cancel()
        reader = nil
        writer = nil
        let handle = handle
        watching.notify(queue: queue) { PQfinish(handle.pointer) }
    }
}
