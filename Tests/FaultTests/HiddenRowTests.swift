import Foundation
import PGMQ
import Postgres
import TestSupport
import Testing

/// What hides a queue's rows, or keeps them, without an error: row-level security and triggers that swallow.
@Suite(.serialized) struct HiddenRowTests {
    private static let everything = "create policy everything on pgmq.q_work using (true)"

    @Test func `row-level security without a policy is named by check and by the daemon, which resumes by itself`()
        async throws
    {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let role = try await database.worker()
        try await database.send("work", Array(repeating: "{}", count: 10))
        try await database.sql("alter table pgmq.q_work enable row level security")
        let words = { (command: String) in
            #"row-level security on pgmq.q_work hides its rows: no policy lets role "\#(role)" \#(command)"#
        }

        let folder = try TestFolder()
        var discarding = Settings(database, queue: "work", handler: "{ discard = true }")
        discarding.url = database.url(of: role)
        let file = try folder.write("pgmqd.toml", discarding.text)
        let check = try await ProgramRun(["check", "-c", file, "--connect"])
        #expect(check.code == 78)
        for command in ["SELECT", "UPDATE", "DELETE"] {
            #expect((check.text + check.errors).contains(words(command)), "\(check.text)\(check.errors)")
        }

        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings.patient(database, queue: "work")
        settings.url = database.url(of: role)
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await daemon.logged("queue paused")
        #expect(daemon.log.contains(line: "queue paused", words("SELECT").replacing("\"", with: #"\""#)))
        #expect(ledger.starts.isEmpty)
        try await database.sql(Self.everything)
        try await eventually("all are done") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.count == 10)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
        let sound = try await ProgramRun(["check", "-c", file, "--connect"])
        #expect(sound.code == 0, "\(sound.text)\(sound.errors)")
    }

    struct Keeper: CustomTestStringConvertible {
        let testDescription: String
        let begin: [String]
        let end: String
    }

    static let keepers = [
        Keeper(
            testDescription: "a policy that is missing for DELETE",
            begin: [
                "create policy reads on pgmq.q_work for select using (true)",
                "create policy writes on pgmq.q_work for update using (true)",
                "alter table pgmq.q_work enable row level security",
            ],
            end: everything
        ),
        Keeper(
            testDescription: "a trigger that swallows the DELETE",
            begin: [
                "create function guard() returns trigger language plpgsql as 'begin return null; end'",
                "create trigger guard before delete on pgmq.q_work for each row execute function guard()",
            ],
            end: "drop trigger guard on pgmq.q_work"
        ),
    ]

    /// It began while the daemon held the message, so that no check at the start could see it.
    @Test(arguments: keepers)
    func `a message that the database does not let go is held, and runs nowhere again`(keeper: Keeper) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let role = try await database.worker()
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings(database, queue: "work", visibilityTimeout: "10s", callDeadline: "3s")
        settings.url = database.url(of: role)
        let first = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await first.ready()
        let id = try await database.send("work", [#"{"gated":1}"#])[0]
        try await eventually("it runs") { ledger.starts.count == 1 }
        let second = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await second.ready()
        try await database.inTransaction(keeper.begin) {}
        ledger.openGate()
        try await first.logged("queue paused")
        #expect(first.log.contains("a row-level security policy that swallows"))
        let held = try await database.int("select extract(epoch from vt)::bigint from pgmq.q_work")
        try await eventually("the lease is renewed beyond two visibility timeouts") {
            try await database.int("select extract(epoch from vt)::bigint from pgmq.q_work") > held + 20
        }
        #expect(try await database.int("select read_ct from pgmq.q_work") == 1)
        #expect(try await database.int("select count(*) from pgmqd.journal where attempt is not null") == 0)
        try await database.sql(keeper.end)
        try await eventually("it is settled") { try await database.count("work") == 0 }
        let later = try await database.send("work", Array(repeating: "{}", count: 10))
        try await eventually("the queue resumes") { ledger.ends.count >= 11 }
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await first.stop() == 0)
        #expect(try await second.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ([id] + later).map { ($0, 1) }))
        for log in [first.log, second.log] { #expect(!log.contains("lease lost")) }
        #expect(try await database.count("work_dlq") == 0)
    }
}

extension TestDatabase {
    /// A role that may do what a daemon of the queue `work` does, and owns nothing.
    fileprivate func worker() async throws -> String {
        let role = "hidden_\(name)"
        try await sql("create role \(role) login")
        let options = QueueOptions(
            visibilityTimeout: .seconds(10),
            maxMessageBytes: 1 << 20,
            archives: false,
            durable: true,
            deadLetter: QueueName("work_dlq")
        )
        let statements = try await connected {
            try await Grants($0, role: role).statements(for: [(QueueName("work"), options)])
        }
        for statement in statements { try await sql(statement) }
        return role
    }

    fileprivate func url(of role: String) -> String { url.replacing("user=postgres", with: "user=\(role)") }
}
