import Foundation

/// The messages to be sent, a batch at a time: one from the command line, or lines as they come from a file or pipe.
struct BodySource {
    private let batch: Int
    private let handle: FileHandle?
    private var message: [UInt8]?
    private var buffer: [UInt8] = []
    /// Where the next line begins, and how far its end has been searched for.
    private var start = 0
    private var searched = 0

    init(message: String?, file: String?, batch: Int) throws {
        self.batch = batch
        self.message = message.map { Array($0.utf8) }
        switch file {
        case nil:
            handle = nil
        case "-":
            handle = .standardInput
        case .some(let path):
            guard let opened = FileHandle(forReadingAtPath: path) else { throw Failure.failed("cannot read \(path)") }
            handle = opened
        }
    }

    /// - Returns: nil at the end.
    mutating func next() throws -> [[UInt8]]? {
        if let message {
            self.message = nil
            return [message]
        }
        var bodies: [[UInt8]] = []
        while bodies.count < batch, let line = try nextLine(waiting: bodies.isEmpty) {
            if line.contains(where: { $0 > 32 }) { bodies.append(line) }
        }
        return bodies.isEmpty ? nil : bodies
    }

    /// - Parameter waiting: false: only what has been read already, so that a slow pipe's lines are sent as they come.
    private mutating func nextLine(waiting: Bool) throws -> [UInt8]? {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { (start, searched) = (end + 1, end + 1) }
                return Array(buffer[start..<end])
            }
            searched = buffer.count
            guard let handle, waiting else { return nil }
            let chunk = handle.availableData
            if chunk.isEmpty {
                defer { (start, searched) = (buffer.count, buffer.count) }
                return start < buffer.count ? Array(buffer[start...]) : nil
            }
            // What has been taken goes once a read, and not once a line.
            buffer.removeSubrange(..<start)
            (start, searched) = (0, searched - start)
            buffer += chunk
        }
    }
}
