import Foundation
import Postgres
import TestSupport
import Testing

/// Messages that few would send: they pass through as the bytes they are, or are refused with a reason.
@Suite struct OddMessageTests {
    private struct Odd {
        let name: String
        /// An SQL expression.
        let body: String
        var headers = "null"
    }

    private static let deep = "(repeat('[', 3000) || repeat(']', 3000))::jsonb"
    private static let odd = [
        Odd(name: "JSON null", body: "'null'::jsonb"),
        Odd(name: "a bare string", body: #"'"naïve \"text\" \\ \u00e9 \u0007"'::jsonb"#),
        Odd(name: "20-digit numbers", body: "'[12345678901234567890, 1.00, -0.12345678901234567890, 1e400]'::jsonb"),
        Odd(name: "deep nesting", body: deep),
        Odd(name: "an SQL NULL", body: "null::jsonb"),
        Odd(name: "headers that are JSON null", body: "'{}'::jsonb", headers: "'null'::jsonb"),
        Odd(name: "headers that are an array", body: "'{}'::jsonb", headers: "'[1, \"é\"]'::jsonb"),
        Odd(name: "a large one", body: "jsonb_build_object('text', repeat('é', 400000))"),
    ]

    private func send(_ database: TestDatabase, _ odd: Odd, to queue: String = "work") async throws -> Int64 {
        let row = "values (now(), \(odd.body), \(odd.headers))"
        let insert = "insert into pgmq.q_\(queue) (vt, message, headers) \(row) returning msg_id"
        return Int64(try await database.int(insert))
    }

    @Test func `they reach a command byte for byte`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let script = """
            cat > "$1/$PGMQD_MSG_ID.body"
            printf %s "$PGMQD_HEADERS" > "$1/$PGMQD_MSG_ID.headers"
            printf %s "${PGMQD_NULL-no}" > "$1/$PGMQD_MSG_ID.null"
            """.replacingOccurrences(of: "\n", with: "; ").replacingOccurrences(of: "${", with: "$${")
        var sent: [(odd: Odd, id: Int64, body: String?, headers: String?)] = []
        for odd in Self.odd {
            let id = try await send(database, odd)
            let texts = "select message::text, headers::text from pgmq.q_work where msg_id = \(id)"
            let row = try await database.sql(texts)
            sent.append((odd, id, row.text(0, 0), row.text(0, 1)))
        }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", handler: TestFolder.shell(script, folder.path)).text
        )
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(try await database.count("work_dlq") == 0)
        for message in sent {
            let name = message.odd.name
            #expect(folder.data("\(message.id).body") == Data((message.body ?? "").utf8), "\(name)")
            #expect(folder.text("\(message.id).headers") == message.headers ?? "", "\(name)")
            #expect(folder.text("\(message.id).null") == (message.body == nil ? "1" : "no"), "\(name)")
        }
    }

    @Test func `they reach the dead-letter queue as they were`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        var before: [String] = []
        for odd in Self.odd {
            let id = try await send(database, odd)
            let sum = "select md5(message::text) from pgmq.q_work where msg_id = \(id)"
            before.append(try await database.text(sum) ?? "")
        }
        let daemon = try DaemonProcess(
            Settings(database, queue: "work", handler: TestFolder.shell("cat >/dev/null; exit 65")).text
        )
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let rows = try await database.sql(
            """
            select md5(message::text), (headers - 'x-pgmqd')::text, headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq
            order by (headers->'x-pgmqd'->>'msg_id')::int
            """
        )
        #expect(rows.count == Self.odd.count)
        guard rows.count == Self.odd.count else { return }
        for (row, odd) in Self.odd.enumerated() {
            #expect(rows.text(row, 0) ?? "" == before[row], "\(odd.name)")
            #expect(rows.text(row, 2) == "exit status 65", "\(odd.name)")
            switch odd.headers {
            case "null": #expect(rows.text(row, 1) == "{}")
            case "'null'::jsonb": #expect(rows.text(row, 1) == #"{"x-pgmqd-headers": null}"#)
            default: #expect(rows.text(row, 1) == #"{"x-pgmqd-headers": [1, "é"]}"#)
            }
        }
    }

    @Test func `a Swift handler decodes them, or refuses them with a reason`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        for odd in Self.odd { _ = try await send(database, odd) }
        let daemon = try await Workers.start(Settings(database, queue: "work"), ledger)
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let done = Set(ledger.ends.filter { $0.verdict == "done" }.map { Self.odd[Int($0.id) - 1].name })
        #expect(done == ["headers that are JSON null", "headers that are an array", "a large one"])
        let reasons = try await database.sql("select headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq")
        #expect(reasons.count == 5)
        #expect((0..<reasons.count).allSatisfy { reasons.text($0, 0)?.hasPrefix("undecodable: ") == true })
    }

    @Test func `5 MB is refused unseen, and passes where the limit is raised`() async throws {
        let database = try await TestServer.common().database()
        let folder = try TestFolder()
        let script = #"cat > "$1/$PGMQD_QUEUE.new"; mv "$1/$PGMQD_QUEUE.new" "$1/$PGMQD_QUEUE""#
        let handler = TestFolder.shell(script, folder.path)
        var settings = Settings(url: database.url)
        settings.database = []
        settings.add(queue: "usual", handler: handler, visibilityTimeout: "30s")
        let raised = ["max_message_bytes = \"10MiB\""]
        settings.add(queue: "roomy", handler: handler, visibilityTimeout: "30s", extra: raised)
        // Small on the disk: it is the text that counts.
        let body = "jsonb_build_object('text', repeat('x', 5000000))"
        let large = Odd(name: "5 MB", body: body, headers: #"'{"a": 1}'::jsonb"#)
        for queue in ["usual", "roomy"] {
            try await database.createQueue(queue)
            _ = try await send(database, large, to: queue)
        }
        let daemon = try DaemonProcess(settings.text)
        for queue in ["usual", "roomy"] { try await database.emptied(queue) }
        #expect(try await daemon.stop() == 0)
        #expect(folder.names == ["roomy"])
        #expect(folder.text("roomy") == #"{"text": ""# + String(repeating: "x", count: 5_000_000) + #""}"#)
        let refused = try await database.sql(
            "select headers->'x-pgmqd'->>'reason', length(message->>'text'), headers->>'a' from pgmq.q_usual_dlq"
        )
        #expect(refused.count == 1)
        #expect(refused.text(0, 0)?.hasPrefix("too_large: 50000") == true)
        #expect(refused.text(0, 0)?.hasSuffix("the limit is 1048576") == true)
        #expect(refused.int(0, 1) == 5_000_000)
        #expect(refused.text(0, 2) == "1")
        #expect(try await database.count("roomy_dlq") == 0)
    }
}
