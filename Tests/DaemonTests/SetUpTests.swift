import Foundation
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// From a file and a database to a daemon that may run: `migrate`, `check`, and `run`'s first moments.
@Suite struct SetUpTests {
    private func empty() async throws -> TestDatabase {
        let database = try await TestServer.common().database()
        try await database.sql("drop schema pgmqd cascade")
        return database
    }

    @Test func `migrate makes what is missing, and the second time there is nothing to do`() async throws {
        let database = try await empty()
        let folder = try TestFolder()
        let file = try folder.write("pgmqd.toml", Settings(database, queue: "MyQ", handler: "{ discard = true }").text)

        let before = try await ProgramRun(["check", "--connect", "-c", file])
        #expect(before.code == 78)
        #expect(before.errors.contains("pgmqd migrate"))
        let first = try await ProgramRun(["migrate", "-c", file])
        #expect(first.code == 0)
        #expect(first.text.contains("--create-queues"))
        let second = try await ProgramRun(["migrate", "-c", file, "--create-queues"])
        #expect(second.code == 0)
        for text in ["queue myq created", "queue myq_dlq created", "queue myq: doorbell hung"] {
            #expect(second.text.contains(text))
        }
        #expect(try await ProgramRun(["migrate", "-c", file]).text == "-- nothing to do\n")
        #expect(try await ProgramRun(["migrate", "-c", file, "--create-queues"]).text == "-- nothing to do\n")
        #expect(try await ProgramRun(["check", "--connect", "-c", file]).code == 0)
    }

    @Test func `many migrate at once, and it is done once`() async throws {
        let database = try await empty()
        let folder = try TestFolder()
        let settings = Settings(database, queue: "work", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", settings.text)
        let codes = try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<6 { group.addTask { try await ProgramRun(["migrate", "-c", file, "--create-queues"]).code } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes == [0, 0, 0, 0, 0, 0])
        #expect(try await ProgramRun(["check", "--connect", "-c", file]).code == 0)
    }

    @Test func `what migrate --sql prints applies with psql, again and again`() async throws {
        let database = try await empty()
        try await database.createQueue("work", bell: false)
        let script = try await ProgramRun(["migrate", "--sql"])
        #expect(script.code == 0)
        try await database.server.postgres.psql(script.text, database: database.name)
        let folder = try TestFolder()
        let settings = Settings(database, queue: "work", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", settings.text)
        #expect(try await ProgramRun(["check", "--connect", "-c", file]).code == 0)
        // Migrate finds that it was here, and hangs only the doorbell.
        #expect(try await ProgramRun(["migrate", "-c", file]).text == "-- queue work: doorbell hung\n")
    }

    /// One of an earlier version, and one from a server that made another key of the queue's name.
    @Test(arguments: ["", "when (not (pg_try_advisory_lock(1) and pg_advisory_unlock(1)))"])
    func `migrate hangs a doorbell anew that is not as it would hang it`(condition: String) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work", bell: false)
        let trigger = "create trigger pgmqd_doorbell after insert on pgmq.q_work for each statement"
        try await database.sql("\(trigger) \(condition) execute function pgmqd.doorbell('work')")
        let folder = try TestFolder()
        let settings = Settings(database, queue: "work", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", settings.text)
        // It gives way to who is sending, and the old one goes on.
        let busy = try await database.connected { connection in
            _ = try await connection.run(
                [Statement("begin"), Statement("insert into pgmq.q_work (vt) values (now())")],
                deadline: .seconds(10)
            )
            return try await ProgramRun(["migrate", "-c", file])
        }
        #expect(busy.code == 0)
        #expect(busy.text.hasPrefix("-- queue work is busy: its doorbell stays"))
        #expect(try await ProgramRun(["migrate", "-c", file]).text == "-- queue work: doorbell hung\n")
        let definition = try #require(
            try await database.text("select pg_get_triggerdef(oid) from pg_trigger where tgname = 'pgmqd_doorbell'")
        )
        #expect(definition.contains("WHEN (") && definition.contains("EXECUTE FUNCTION pgmqd.doorbell('work')"))
        #expect(try await ProgramRun(["migrate", "-c", file]).text == "-- nothing to do\n")
    }

    /// Nobody shall have to start a daemon six times to find six mistakes.
    @Test(arguments: ["run", "check"])
    func `a malformed file is exit code 78, with every mistake and no stack trace`(command: String) async throws {
        let folder = try TestFolder()
        let file = try folder.write(
            "pgmqd.toml",
            """
            [database]
            url = "postgresql:///app"
            [daemon]
            worker = 8
            [[queue]]
            name = "a"
            workers = "many"
            visibility_timeout = "1s"
            handler = { command = ["/nonexistent/program"] }
            [[queue]]
            name = "A"
            max_attempts = 0
            handler = { swift = "x", discard = true }
            """
        )
        let run = try await ProgramRun([command, "-c", file])
        #expect(run.code == 78)
        #expect(run.text == "")
        let told = [
            "worker", "did you mean", "workers", "visibility_timeout", "/nonexistent/program", "max_attempts",
            "contradict", "already", file + ":4",
        ]
        for text in told { #expect(run.errors.contains(text), "\(text) in:\n\(run.errors)") }
        for text in ["Fatal error", "Stack dump", "Thread 0", "Swift."] { #expect(!run.errors.contains(text)) }
    }

    @Test(arguments: ["run", "check"])
    func `a file that is none, or is not there, is exit code 78`(command: String) async throws {
        let folder = try TestFolder()
        let garbage = try folder.write("garbage.toml", "[database\nurl = = \u{0}")
        for file in [garbage, folder.path + "/missing.toml", folder.path] {
            let run = try await ProgramRun([command, "-c", file])
            #expect(run.code == 78, "\(file)")
            #expect(run.errors.contains(file), "\(file)")
        }
    }

    @Test func `a handler that this program does not have is exit code 78, of which check gives notice`() async throws {
        let database = try await TestServer.common().database()
        let text = Settings(database, queue: "work", handler: "{ swift = 'missing' }").text
        let daemon = try DaemonProcess(text)
        #expect(try await daemon.exit() == 78)
        #expect(daemon.log.contains("missing"))
        let folder = try TestFolder()
        let check = try await ProgramRun(["check", "-c", folder.write("pgmqd.toml", text)])
        #expect(check.code == 0)
        #expect(check.errors.contains("\"missing\""))
        #expect(check.lines.count == 1)
    }

    @Test func `a database or a role that is not there at the start is exit code 78`() async throws {
        let server = try await TestServer.common()
        let wrong = [
            server.postgres.url(database: "nowhere"),
            server.postgres.url(database: "postgres").replacing("user=postgres", with: "user=nobody"),
        ]
        for url in wrong {
            var settings = Settings(url: url)
            settings.add(queue: "work", handler: "{ discard = true }")
            let daemon = try DaemonProcess(settings.text)
            #expect(try await daemon.exit() == 78)
            #expect(daemon.log.contains("does not exist"))
            #expect(daemon.log.contains("database.url"))
        }
    }

    @Test func `a wrong password at the start is exit code 78, and is not repeated`() async throws {
        let server = try await TestServer(port: FreePort.find())
        do {
            let url = try #require(server.postgres.tcpURL)
            let start = try #require(url.range(of: "postgres:")).upperBound
            let end = try #require(url.range(of: "@")).lowerBound
            let wrong = url.replacingCharacters(in: start..<end, with: "open-sesame")
            var settings = Settings(url: wrong)
            settings.add(queue: "work", handler: "{ discard = true }")
            let daemon = try DaemonProcess(settings.text)
            #expect(try await daemon.exit() == 78)
            #expect(daemon.log.contains("password authentication failed"))
            #expect(!daemon.log.contains("open-sesame"))
            // A command is not permitted; it would not help to wait for the database.
            let command = try await ProgramRun(["queues", "--database", wrong])
            #expect(command.code == 77)
            #expect(command.errors.contains("password authentication failed"))
            #expect(!command.errors.contains("open-sesame"))
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }
}
