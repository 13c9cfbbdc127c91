import Foundation
import Logging
import Systemd
import Testing

@Suite struct LogSinkTests {
    /// Reached only when a test fails.
    private static let patience: Duration = .seconds(300)

    private static func logger(_ sink: LogSink) -> Logger {
        Logger(label: "test") { _ in TextLogHandler(sink: sink) }
    }

    /// The number of a line that ends with it.
    private static func number(_ line: String, key: String) -> Int? {
        line.split(separator: " ").last { $0.hasPrefix(key + "=") }.flatMap { Int($0.dropFirst(key.count + 1)) }
    }

    @Test func `a pipe that nobody reads blocks nobody, and what was dropped is told once it is read`() throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let logger = Self.logger(sink)
        for number in 0..<20_000 { logger.info("line \(number)", metadata: ["number": "\(number)"]) }
        var numbers: [Int] = []
        var dropped: Int?
        while dropped == nil {
            let line = try pipe.nextLine()
            dropped = line.contains("log lines dropped") ? Self.number(line, key: "dropped") : nil
            if dropped == nil { numbers.append(try #require(Self.number(line, key: "number"))) }
        }
        #expect(numbers == Array(0..<numbers.count))
        #expect(numbers.count + (dropped ?? 0) == 20_000)
        logger.info("behind")
        #expect(try pipe.nextLine().hasSuffix("behind"))
        #expect(sink.flush(within: Self.patience))
    }

    @Test func `a journald that does not read blocks nobody, and what was dropped is told once it reads`() throws {
        let socket = try ManagerSocket()
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing, journalPath: socket.address, limits: LogLimits())
        let logger = Logger(label: "test") { _ in JournalLogHandler(label: "test", sink: sink) }
        for number in 0..<20_000 { logger.info("line \(number)", metadata: ["number": "\(number)"]) }
        var numbers: [Int] = []
        var dropped: Int?
        while dropped == nil {
            let fields = try socket.next()
            let message = try #require(fields.first)
            dropped = message.contains("log lines dropped") ? Self.number(message, key: "dropped") : nil
            if dropped == nil { numbers.append(try #require(Self.number(message, key: "number"))) }
        }
        #expect(numbers == Array(0..<numbers.count))
        #expect(numbers.count + (dropped ?? 0) == 20_000)
        #expect(sink.flush(within: Self.patience))
    }

    @Test func `where no journald listens, its entries are lines with a priority`() throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing, journalPath: "/nowhere/socket", limits: LogLimits())
        let logger = Logger(label: "test") { _ in JournalLogHandler(label: "test", sink: sink) }
        logger.warning("queue paused", metadata: ["queue": "emails"])
        #expect(try pipe.nextLine() == "<4>queue paused queue=emails")
    }

    @Test func `lines longer than the pipe come whole and in order`() throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let logger = Self.logger(sink)
        let letters = ["a", "b", "c"].map { String(repeating: $0, count: 200_000) }
        for text in letters { logger.info("\(text)") }
        for text in letters { #expect(try pipe.nextLine().hasSuffix(" " + text)) }
    }

    @Test func `lines of many threads come whole`() async throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let logger = Self.logger(sink)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<100 { logger.info("task \(task) line \(number)", metadata: ["end": "true"]) }
                }
            }
        }
        var seen: Set<String> = []
        for _ in 0..<800 {
            let parts = try pipe.nextLine().split(separator: " ")
            #expect(parts.last == "end=true")
            seen.insert(parts.dropFirst(2).joined(separator: " "))
        }
        #expect(seen.count == 800)
    }

    @Test func `flushing ends although nobody reads, and again when all was read`() throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let logger = Self.logger(sink)
        let text = String(repeating: "x", count: 100)
        for number in 0..<2000 { logger.info("\(text) \(number)") }
        #expect(!sink.flush(within: .milliseconds(1)))
        for _ in 0..<2000 { _ = try pipe.nextLine() }
        #expect(sink.flush(within: Self.patience))
    }

    @Test func `a sink without lines is flushed`() throws {
        let pipe = try LogPipe()
        #expect(LogSink(descriptor: pipe.writing).flush(within: Self.patience))
    }

    @Test func `a reader that has gone costs its lines and nothing else`() throws {
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing)
        let logger = Self.logger(sink)
        pipe.closeReading()
        for number in 0..<100 { logger.info("line \(number)") }
        #expect(sink.flush(within: Self.patience))
    }

    @Test func `a sink that nobody keeps writes what it has`() throws {
        let pipe = try LogPipe()
        do {
            let logger = Self.logger(LogSink(descriptor: pipe.writing))
            for number in 0..<12 { logger.info("line", metadata: ["number": "\(number)"]) }
        }
        for number in 0..<10 { #expect(try pipe.nextLine().hasSuffix("number=\(number)")) }
        #expect(try pipe.nextLine().hasSuffix("line folded=2 for=1s"))
    }

    @Test func `a text is written as it is`() throws {
        let capture = LogCapture()
        capture.sink.write("pgmqd.toml:1: unknown key \"x\"\npgmqd.toml:2: unknown key \"y\"")
        #expect(
            try capture.lines() == ["pgmqd.toml:1: unknown key \"x\"", "pgmqd.toml:2: unknown key \"y\""]
        )
    }

    // MARK: - Folding

    @Test func `20,000 like lines are the first ones and a count`() throws {
        var limits = LogLimits()
        limits.window = .seconds(3600)
        let capture = LogCapture(limits: limits)
        var logger = Logger(label: "pgmqd") { label in JSONLogHandler(label: label, sink: capture.sink) }
        logger[metadataKey: "queue"] = "emails"
        for number in 0..<20_000 { logger.warning("dead-lettered", metadata: ["msg_id": "\(number)"]) }
        logger.notice("queue resumed")
        let objects = try capture.lines().map { line in
            try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        #expect(objects.map { $0["msg_id"] as? String } == (0..<10).map { "\($0)" } + [nil, nil])
        #expect(objects.dropLast().last?["message"] as? String == "queue resumed")
        let fold = try #require(objects.last)
        #expect(fold["message"] as? String == "dead-lettered")
        #expect(fold["level"] as? String == "warning")
        #expect(fold["logger"] as? String == "pgmqd")
        #expect(fold["queue"] as? String == "emails")
        #expect(fold["folded"] as? Int == 19_990)
        #expect((fold["for"] as? String)?.hasSuffix("s") == true)
    }

    @Test func `the thread tells a count when its window ends, without another line`() throws {
        var limits = LogLimits()
        limits.burst = 1
        limits.window = .milliseconds(20)
        let pipe = try LogPipe()
        let sink = LogSink(descriptor: pipe.writing, limits: limits)
        let logger = Self.logger(sink)
        for _ in 0..<1000 { logger.info("line") }
        // However many windows the lines took: each has passed, or is in a count.
        var told = 0
        while told < 1000 { told += Self.number(try pipe.nextLine(), key: "folded") ?? 1 }
        #expect(told == 1000)
    }

    @Test func `a line names its subject with its own metadata before its logger's`() throws {
        let capture = LogCapture()
        var logger = Self.logger(capture.sink)
        logger[metadataKey: "queue"] = "one"
        for _ in 0..<10 { logger.info("line") }
        for number in 0..<10 { logger.info("line", metadata: ["queue": "two", "worker": "\(number)"]) }
        #expect(try capture.lines().count == 20)
    }
}
