import Foundation
import TestSupport
import Testing

/// The one-shot commands, as their user sees them.
@Suite struct ProgramTests {
    private func pgmqd(
        _ database: TestDatabase,
        _ arguments: String...,
        input: String = ""
    ) async throws -> ProgramRun {
        try await ProgramRun(arguments + ["--database", database.url], input: input)
    }

    private struct Stored: Decodable {
        let id: Int64
        let readCount: Int
        let visibleAt: String
        let body: String?
        let headers: String?
    }

    @Test func `send sends one message, with headers and a delay, and peek spends no delivery`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        let first = try await pgmqd(database, "send", "emails", #"{"to": "å"}"#)
        #expect(first.code == 0)
        #expect(first.text == "1\n")
        #expect(first.errors == "")
        let options = ["--headers", #"{"tenant": "a"}"#, "--delay", "3600", "--database", database.url]
        let second = try await ProgramRun(["send", "emails", "7"] + options)
        #expect(second.text == "2\n")

        for _ in 0..<3 { #expect(try await pgmqd(database, "peek", "emails").code == 0) }
        let peeked = try await pgmqd(database, "peek", "emails", "--json")
        let stored = try JSONDecoder().decode([Stored].self, from: peeked.data)
        #expect(stored.map(\.id) == [1, 2])
        #expect(stored.map(\.body) == [#"{"to": "å"}"#, "7"])
        #expect(stored.map(\.headers) == [nil, #"{"tenant": "a"}"#])
        #expect(stored.map(\.readCount) == [0, 0])
        let later = "vt > clock_timestamp() + interval '59 min'"
        #expect(try await database.int("select count(*) from pgmq.q_emails where \(later)") == 1)
        #expect(try await database.int("select sum(read_ct) from pgmq.q_emails") == 0)
        let table = try await pgmqd(database, "peek", "emails", "-l", "1")
        #expect(table.lines.count == 2)
        #expect(table.lines.first?.hasPrefix("ID") == true)
    }

    @Test func `send takes JSON Lines from a file and from standard input`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        let lines = (1...2500).map { #"{"n": \#($0)}"# }.joined(separator: "\n")
        let piped = try await pgmqd(database, "send", "emails", "--file", "-", "--quiet", input: lines + "\n\n  \n")
        #expect(piped.code == 0)
        #expect(piped.text == "2500\n")
        let folder = try TestFolder()
        let file = try folder.write("lines.jsonl", "1\n\"two\"\nnull")
        let filed = try await pgmqd(database, "send", "emails", "--file", file, "--headers", #"{"a": 1}"#)
        #expect(filed.lines == ["2501", "2502", "2503"])
        let sum = try await database.int("select sum((message->>'n')::int) from pgmq.q_emails where msg_id <= 2500")
        #expect(sum == 2500 * 2501 / 2)
        #expect(try await database.int(#"select count(*) from pgmq.q_emails where headers = '{"a": 1}'"#) == 3)
    }

    @Test func `a mistake in sending says what is wrong, and a batch is sent whole or not at all`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        let malformed = try await pgmqd(database, "send", "emails", "--file", "-", input: "1\n{nonsense\n3\n")
        #expect(malformed.code == 1)
        #expect(malformed.errors.contains("json"))
        let headers = try await pgmqd(database, "send", "emails", "1", "--headers", "{nonsense")
        #expect(headers.code == 1)
        #expect(try await database.count("emails") == 0)
        let unknown = try await pgmqd(database, "send", "nowhere", "1")
        #expect(unknown.code == 1)
        #expect(unknown.errors.contains("does the queue exist"))
        let missing = try await pgmqd(database, "send", "emails", "--file", "/nonexistent/lines")
        #expect(missing.code == 1)
        #expect(missing.errors.contains("/nonexistent/lines"))
        #expect(try await pgmqd(database, "send", "emails").code == 64)
        #expect(try await pgmqd(database, "send", "emails", "1", "--delay", "-1").code == 64)
        #expect(try await pgmqd(database, "peek").code == 64)
        #expect(try await ProgramRun(["nonsense"]).code == 64)
    }

    @Test func `queues lists what waits where`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        try await database.createQueue("bare", how: "create_unlogged", bell: false)
        try await database.send("emails", ["1", "2", "3"])
        try await database.send("emails", ["4"], delay: .seconds(3600))
        struct Summary: Decodable {
            let queue: String
            let visible: Int
            let invisible: Int
            let total: Int
            let isUnlogged: Bool
            let doorbell: Bool
            let oldestClaimableSeconds: Double?
        }
        let json = try await pgmqd(database, "queues", "--json")
        let queues = try JSONDecoder().decode([Summary].self, from: json.data)
        #expect(queues.map(\.queue) == ["bare", "bare_dlq", "emails", "emails_dlq"])
        let emails = try #require(queues.first { $0.queue == "emails" })
        #expect((emails.visible, emails.invisible, emails.total) == (3, 1, 4))
        #expect(emails.doorbell)
        #expect(emails.oldestClaimableSeconds.map { $0 >= 0 && $0 < 3600 } == true)
        let bare = try #require(queues.first { $0.queue == "bare" })
        #expect(bare.isUnlogged)
        #expect(!bare.doorbell)
        #expect(bare.oldestClaimableSeconds == nil)
        let table = try await pgmqd(database, "queues")
        #expect(table.lines.count == 5)
        #expect(table.lines.first?.hasPrefix("QUEUE") == true)
    }

    @Test func `dlq lists and shows what is there, whoever put it there`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("emails")
        let none = try await pgmqd(database, "dlq", "list", "emails")
        #expect(none.code == 0)
        try await database.send("emails_dlq", [#"{"by": "hand"}"#])
        let listed = try await pgmqd(database, "dlq", "list", "emails")
        #expect(listed.text.contains("(not ours)"))
        // Under its own name, too.
        #expect(try await pgmqd(database, "dlq", "list", "emails_dlq").text == listed.text)
        let shown = try await pgmqd(database, "dlq", "show", "emails", "1")
        #expect(shown.text.contains(#"{"by": "hand"}"#))
        let missing = try await pgmqd(database, "dlq", "show", "emails", "99")
        #expect(missing.code == 1)
        #expect(missing.errors.contains("99"))
        #expect(try await database.int("select sum(read_ct) from pgmq.q_emails_dlq") == 0)
    }

    @Test func `a database that cannot be reached is exit code 69`() async throws {
        let folder = try TestFolder()
        let file = try folder.write(
            "pgmqd.toml",
            "[database]\nurl = 'postgresql:///x?host=\(folder.path)'\n[[queue]]\nname = 'a'\nhandler = { discard = true }\n"
        )
        for words in ["send a 1", "queues", "peek a", "dlq list a", "migrate", "check --connect"] {
            let command = words.split(separator: " ").map(String.init)
            let run = try await ProgramRun(command + ["-c", file])
            #expect(run.code == 69, "\(command)")
            #expect(run.errors.contains("cannot be reached"), "\(command)")
            #expect(run.errors.contains(folder.path), "\(command)")
            #expect(run.text == "" || command[0] == "check", "\(command)")
        }
    }
}
