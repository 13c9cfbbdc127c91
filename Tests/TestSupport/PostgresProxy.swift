import Foundation
import Glibc
import PGMQWorker
import Synchronization

/// Stands between a daemon and its server on a Unix socket of its own, understands the wire protocol as far as knowing
/// where a pipeline and its reply end, and cuts, swallows or holds what it is told to.
public final class PostgresProxy: Sendable {
    /// What becomes of one pipeline: the client's messages up to its Sync.
    public enum Action: Sendable, Equatable {
        case pass
        /// The connection ends, and the server never hears of it.
        case cutBefore
        /// The server carries the statements out, and the connection ends before it is told to commit.
        case cutBeforeSync
        /// The server commits, and the connection ends before the client hears of it. A reply of fewer rows passes.
        case swallowReply(rowsAtLeast: Int)
        /// Goes on when ``release()`` is called.
        case hold
    }

    /// The socket's folder: the `host` of a connection.
    public let folder: String
    let target: String
    private let listener: Int32
    private let gate = Gate()
    private let decide = Mutex<@Sendable (String) -> Action>({ _ in .pass })
    private let links = Mutex<[ProxyLink]>([])

    public init(to server: TestServer) throws {
        target = server.postgres.socketDirectory + "/.s.PGSQL.5432"
        folder = FileManager.default.temporaryDirectory.path + "/pgmqd-proxy-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        listener = try UnixStream.listen(folder + "/.s.PGSQL.5432")
        Thread.detachNewThread { [weak self, listener] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0, let self else { return }
                // A child that inherited it would keep the connection open.
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                self.serve(client)
            }
        }
    }

    public func url(_ database: TestDatabase) -> String {
        "postgresql:///\(database.name)?host=\(folder)&port=5432&user=postgres"
    }

    /// - Parameter decide: told the text of all statements of a pipeline; called on the connection's own thread.
    public func onPipeline(_ decide: @escaping @Sendable (String) -> Action) {
        self.decide.withLock { $0 = decide }
    }

    /// Lets go what is held.
    public func release() {
        gate.open()
    }

    /// Ends all connections; new ones are accepted.
    public func cutAll() {
        let links = self.links.withLock { links in
            defer { links = [] }
            return links
        }
        for link in links { link.cut() }
    }

    public func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        gate.open()
        cutAll()
        try? FileManager.default.removeItem(atPath: folder)
    }

    deinit {
        Glibc.close(listener)
    }

    private func serve(_ client: Int32) {
        guard let server = UnixStream.connect(target) else {
            // The server is away: the client hears what it would hear from the server's own socket, an end.
            Glibc.close(client)
            return
        }
        let gate = gate
        let link = ProxyLink(client: client, server: server) { [weak self] text in
            guard let self else { return .pass }
            let action = self.decide.withLock { $0 }(text)
            if action == .hold { gate.pass() }
            return action
        }
        links.withLock { links in
            links.removeAll(where: \.isCut)
            links.append(link)
        }
        link.start()
    }

    /// Where held pipelines wait.
    private final class Gate: Sendable {
        private let condition = NSCondition()
        private let isOpen = Mutex(false)

        func pass() {
            condition.lock()
            while !isOpen.withLock({ $0 }) { condition.wait() }
            condition.unlock()
        }

        func open() {
            condition.lock()
            isOpen.withLock { $0 = true }
            condition.broadcast()
            condition.unlock()
        }
    }
}

/// Unix sockets with a name in the file system.
enum UnixStream {
    static func listen(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard UnixAddress(path).with({ bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 64) == 0 else {
            throw NeverHappened(description: "\(path) cannot be listened on: \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    static func connect(_ path: String) -> Int32? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard UnixAddress(path).with({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            Glibc.close(descriptor)
            return nil
        }
        return descriptor
    }
}
