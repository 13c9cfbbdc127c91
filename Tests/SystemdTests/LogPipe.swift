import Foundation
import Systemd
import Testing

/// A pipe whose reader reads when the test says so.
final class LogPipe {
    private let reading: Int32
    let writing: Int32
    private var isReading = true
    private var rest: [UInt8] = []

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        (reading, writing) = (ends[0], ends[1])
    }

    /// The reader goes first: whoever still writes gets an error, and is not held.
    deinit {
        closeReading()
        close(writing)
    }

    func closeReading() {
        if isReading { close(reading) }
        isReading = false
    }

    /// The next whole line; waits until it comes.
    func nextLine() throws -> String {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest.removeSubrange(...end) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(reading, &bytes, bytes.count)
            try #require(count > 0)
            rest += bytes.prefix(count)
        }
    }
}
