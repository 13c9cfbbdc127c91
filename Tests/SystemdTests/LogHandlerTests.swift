import Foundation
import Logging
import Systemd
import Testing

@Suite struct LogHandlerTests {
    private static let nested: Logger.Metadata = [
        "queue": "emails", "msg_id": "\(42)", "read_ct": .stringConvertible(3), "alone": .stringConvertible(true),
        "hosts": ["a", "b"], "policy": ["max": .stringConvertible(5), "first": "2s"],
    ]

    @Test func `text is one line with time, level, message and facts`() throws {
        let capture = LogCapture()
        let handler = TextLogHandler(sink: capture.sink)
        handler.log(event: LogCapture.event("message retried", Self.nested, level: .notice))
        let lines = try capture.lines()
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        let start = #/\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}[+-]\d\d:\d\d notice   message retried /#
        #expect(line.prefixMatch(of: start) != nil)
        #expect(
            line.hasSuffix(
                #" alone=true hosts=["a","b"] msg_id=42 policy={"first":"2s","max":5} queue=emails read_ct=3"#
            )
        )
    }

    @Test func `text keeps control characters off the terminal`() throws {
        let capture = LogCapture()
        let handler = TextLogHandler(sink: capture.sink)
        let reason = "a\nb\t\u{1b}[31m\u{9b}\u{202e}\u{2028}\u{7f}\u{0}"
        handler.log(event: LogCapture.event("fail\ned", ["reason": "\(reason)", "k\ney": "say \"no\"", "empty": ""]))
        let lines = try capture.lines()
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(line.contains(#"fail\ned empty="" k\ney="say \"no\"" reason="#))
        #expect(line.hasSuffix(#"reason=a\nb\t\u{1b}[31m\u{9b}\u{202e}\u{2028}\u{7f}\u{0}"#))
        #expect(line.unicodeScalars.allSatisfy { !LogText.breaksLine($0) })
    }

    @Test func `JSON is one object a line and keeps nested values`() throws {
        let capture = LogCapture()
        var handler = JSONLogHandler(label: "pgmqd.queue", sink: capture.sink)
        handler[metadataKey: "queue"] = "overridden"
        handler[metadataKey: "host"] = "one"
        handler.log(event: LogCapture.event("first\nsecond \"q\" \\ \u{1b} é 🐘", Self.nested, level: .error))
        handler.log(event: LogCapture.event("with error", ["time": "mine"], error: CancellationError()))
        let objects = try capture.lines().map { line in
            try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        #expect(objects.count == 2)
        let (first, second) = (try #require(objects.first), try #require(objects.last))
        #expect(first["message"] as? String == "first\nsecond \"q\" \\ \u{1b} é 🐘")
        #expect(first["level"] as? String == "error")
        #expect(first["logger"] as? String == "pgmqd.queue")
        #expect(first["queue"] as? String == "emails")
        #expect(first["host"] as? String == "one")
        #expect(first["msg_id"] as? String == "42")
        #expect(first["read_ct"] as? Int == 3)
        #expect(first["alone"] as? Bool == true)
        #expect(first["hosts"] as? [String] == ["a", "b"])
        #expect((first["policy"] as? [String: Any])?["max"] as? Int == 5)
        #expect(try #require(first["time"] as? String).wholeMatch(of: #/\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z/#) != nil)
        #expect(second["time_"] as? String == "mine")
        #expect(second["error_type"] as? String == "Swift.CancellationError")
    }

    @Test func `a journal entry has its facts as fields and in the message`() {
        var handler = JournalLogHandler(label: "pgmqd")
        handler[metadataKey: "queue"] = "emails"
        let event = LogCapture.event("dead\nlettered", ["msg_id": "42", "error.text": "a\nb"], level: .warning)
        #expect(
            handler.entry(for: event).fields == [
                #"MESSAGE=dead\nlettered error.text=a\nb msg_id=42 queue=emails"#, "PRIORITY=4",
                "SYSLOG_IDENTIFIER=pgmqd", "CODE_FILE=Tests/File.swift", "CODE_LINE=7", "CODE_FUNC=f()",
                "PGMQD_LOGGER=pgmqd", "PGMQD_ERROR_TEXT=a\nb", "PGMQD_MSG_ID=42", "PGMQD_QUEUE=emails",
            ]
        )
    }

    @Test func `a value of several lines goes to journald with its length in front`() {
        var entry = JournalEntry()
        entry.append("MESSAGE", "a=b")
        entry.append("PGMQD_EMPTY", "")
        entry.append("PGMQD_ERROR", "é\n=")
        let lengths: [UInt8] = [4, 0, 0, 0, 0, 0, 0, 0]
        #expect(
            entry.datagram
                == Array("MESSAGE=a=b\nPGMQD_EMPTY=\nPGMQD_ERROR\n".utf8) + lengths + Array("é\n=\n".utf8)
        )
    }

    @Test func `journal field names are what journald accepts`() {
        #expect(JournalEntry.fieldName("msg_id") == "PGMQD_MSG_ID")
        #expect(JournalEntry.fieldName("größe-1") == "PGMQD_GR__E_1")
        #expect(JournalEntry.fieldName(String(repeating: "x", count: 99)).count == 64)
    }

    @Test func `levels and metadata of a handler are values`() {
        var one = TextLogHandler()
        one[metadataKey: "only"] = "first"
        var two = one
        two.logLevel = .error
        two[metadataKey: "only"] = "second"
        #expect(one.logLevel == .info)
        #expect(one[metadataKey: "only"] == "first")
    }

    @Test func `standard error is the journal only where device and inode agree`() {
        var info = stat()
        #expect(fstat(2, &info) == 0)
        #expect(LogFormat.standardErrorIsJournal("\(info.st_dev):\(info.st_ino)"))
        #expect(!LogFormat.standardErrorIsJournal("\(info.st_dev):\(info.st_ino + 1)"))
        for stream in [nil, "", ":", "1", "a:b", "1:2:3"] { #expect(!LogFormat.standardErrorIsJournal(stream)) }
    }

    @Test func `a format is never left open`() {
        #expect(LogFormat.allCases.map { $0.resolved() }.contains(.auto) == false)
        #expect(LogFormat.text.handlerFactory(level: .debug)("x").logLevel == .debug)
        #expect(LogFormat.json.handlerFactory()("x") is JSONLogHandler)
    }
}
