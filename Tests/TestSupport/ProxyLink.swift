import Foundation
import Glibc
import Synchronization

/// One client's connection through the proxy: a thread each way.
final class ProxyLink: Sendable {
    private struct State {
        var isCut = false
        /// The next reply is kept back until it is whole.
        var judging: Int?
    }

    private let client: Int32
    private let server: Int32
    private let decide: @Sendable (String) -> PostgresProxy.Action
    private let state = Mutex(State())

    init(client: Int32, server: Int32, decide: @escaping @Sendable (String) -> PostgresProxy.Action) {
        self.client = client
        self.server = server
        self.decide = decide
    }

    deinit {
        close(client)
        close(server)
    }

    var isCut: Bool { state.withLock { $0.isCut } }

    func start() {
        Thread.detachNewThread {
            self.carryQuestions()
            self.cut()
        }
        Thread.detachNewThread {
            self.carryAnswers()
            self.cut()
        }
    }

    /// The descriptors stay until both threads are gone: their numbers must not become another connection's.
    func cut() {
        state.withLock { $0.isCut = true }
        shutdown(client, Int32(SHUT_RDWR))
        shutdown(server, Int32(SHUT_RDWR))
    }

    // MARK: - To the server

    private func carryQuestions() {
        guard let startup = Frame.read(from: client, isTyped: false), write(startup.bytes, to: server) else { return }
        var pipeline: [Frame] = []
        // By name: what is prepared once is only named afterwards.
        var texts: [String: String] = [:]
        while let frame = Frame.read(from: client, isTyped: true) {
            // Outside of a pipeline: passwords, Terminate, simple queries.
            if pipeline.isEmpty, ["p", "X", "Q", "F"].contains(frame.type) {
                guard write(frame.bytes, to: server) else { return }
                continue
            }
            pipeline.append(frame)
            guard frame.type == "S" else { continue }
            var statements: [String] = []
            for frame in pipeline {
                // In their order: the unnamed one is another each time.
                if let (name, text) = frame.parsed { texts[name] = text }
                if let name = frame.bound, let text = texts[name] { statements.append(text) }
            }
            guard forward(pipeline, text: statements.joined(separator: "\n")) else { return }
            pipeline = []
        }
    }

    /// - Returns: false where the connection ends.
    private func forward(_ pipeline: [Frame], text: String) -> Bool {
        let bytes = pipeline.flatMap(\.bytes)
        switch decide(text) {
        case .pass, .hold:
            return write(bytes, to: server)
        case .cutBefore:
            return false
        case .cutBeforeSync:
            _ = write(pipeline.dropLast().flatMap(\.bytes), to: server)
            return false
        case .swallowReply(let rows):
            // One transaction at a time: no earlier reply is under way.
            state.withLock { $0.judging = rows }
            return write(bytes, to: server)
        }
    }

    // MARK: - To the client

    private func carryAnswers() {
        var kept: [Frame] = []
        while let frame = Frame.read(from: server, isTyped: true) {
            guard let rows = state.withLock({ $0.judging }) else {
                guard write(frame.bytes, to: client) else { return }
                continue
            }
            kept.append(frame)
            guard frame.type == "Z" else { continue }
            if kept.count(where: { $0.type == "D" }) >= rows { return }
            // Before the client has it, and sends the next.
            state.withLock { $0.judging = nil }
            guard write(kept.flatMap(\.bytes), to: client) else { return }
            kept = []
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// One message of the protocol: a letter, four bytes of length, and that much. The very first has no letter.
    private struct Frame {
        let type: Character?
        let bytes: [UInt8]

        static func read(from descriptor: Int32, isTyped: Bool) -> Frame? {
            let head = isTyped ? 5 : 4
            guard let start = take(head, from: descriptor) else { return nil }
            let length = start.suffix(4).reduce(0) { $0 << 8 | Int($1) }
            guard length >= 4, let rest = take(length - 4, from: descriptor) else { return nil }
            return Frame(type: isTyped ? Character(Unicode.Scalar(start[0])) : nil, bytes: start + rest)
        }

        private static func take(_ count: Int, from descriptor: Int32) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            var filled = 0
            while filled < count {
                let got = bytes.withUnsafeMutableBytes {
                    recv(descriptor, $0.baseAddress?.advanced(by: filled), count - filled, 0)
                }
                guard got > 0 else { return nil }
                filled += got
            }
            return bytes
        }

        /// A Parse's name for the statement, and its text.
        var parsed: (name: String, text: String)? {
            type == "P" ? (string(0), string(1)) : nil
        }

        /// The statement that a Bind names, behind its portal.
        var bound: String? {
            type == "B" ? string(1) : nil
        }

        /// The texts that a message begins with each end in a zero.
        private func string(_ index: Int) -> String {
            let parts = bytes.dropFirst(5).split(separator: 0, maxSplits: index + 1, omittingEmptySubsequences: false)
            return String(decoding: parts[index], as: UTF8.self)
        }
    }
}
