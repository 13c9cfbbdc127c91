import CLibPQ
import Dispatch

/// The connection's socket, watched. All of it happens on the connection's queue.
final class Socket: @unchecked Sendable {
    // Sendable: touched only on the dispatch queue given to it, but for close(), which goes there by itself.
    let handle: Handle
    private let queue: DispatchQueue
    private var reader: (any DispatchSourceRead)?
    private var writer: (any DispatchSourceWrite)?
    private var onWritable: @Sendable () -> Void = {}

    init(handle: Handle, queue: DispatchQueue) {
        self.handle = handle
        self.queue = queue
    }

    func start(onReadable: @escaping @Sendable () -> Void, onWritable: @escaping @Sendable () -> Void) {
        self.onWritable = onWritable
        let reader = DispatchSource.makeReadSource(fileDescriptor: PQsocket(handle.pointer), queue: queue)
        reader.setEventHandler(handler: onReadable)
        self.reader = reader
        reader.activate()
    }

    /// Watched only while libpq has bytes that the kernel would not take.
    func watchWritable(_ wanted: Bool) {
        guard wanted != (writer != nil) else { return }
        if wanted {
            let writer = DispatchSource.makeWriteSource(fileDescriptor: PQsocket(handle.pointer), queue: queue)
            writer.setEventHandler(handler: onWritable)
            self.writer = writer
            writer.activate()
        } else {
            writer?.cancel()
            writer = nil
        }
    }

    /// The descriptor may be closed only when dispatch has stopped watching it: in the last cancel handler.
    func close() {
        let handle = handle
        let group = DispatchGroup()
        for source in [reader, writer].compactMap({ $0 as (any DispatchSourceProtocol)? }) {
            group.enter()
            source.setCancelHandler { group.leave() }
            source.cancel()
        }
        let open = reader != nil || !finished
        reader = nil
        writer = nil
        finished = true
        if open { group.notify(queue: queue) { PQfinish(handle.pointer) } }
    }

    private var finished = false
}
