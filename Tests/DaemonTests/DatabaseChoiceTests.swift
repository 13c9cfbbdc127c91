import Foundation
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// Which database a command speaks to, and as whom.
@Suite struct DatabaseChoiceTests {
    @Test func `--database goes before -c, and -c before the environment`() async throws {
        let server = try await TestServer.common()
        let folder = try TestFolder()
        var urls: [String] = []
        for queue in ["by_hand", "configured", "around"] {
            let database = try await server.database()
            try await database.sql("select pgmq.create($1)", [.text(queue)])
            urls.append(database.url)
        }
        var settings = Settings(url: urls[1])
        settings.add(queue: "configured", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", settings.text)
        func first(_ arguments: [String], around: String) async throws -> Substring? {
            let run = try await ProgramRun(["queues"] + arguments, environment: ["PGMQD_DATABASE_URL": around])
            #expect(run.code == 0, "\(run.errors)")
            return run.lines.last?.prefix { $0 != " " }
        }
        #expect(try await first(["-c", file, "--database", urls[0]], around: urls[2]) == "by_hand")
        #expect(try await first(["-c", file], around: urls[2]) == "configured")
        #expect(try await first(["-c", file], around: "") == "configured")
        #expect(try await first([], around: urls[2]) == "around")
    }

    /// What libpq reads beside the address: a service, a password, several servers of which the first is away.
    @Test func `service, password file and several hosts are libpq's own`() async throws {
        let port = FreePort.find()
        let server = try await TestServer(port: port)
        do {
            let database = try await server.database()
            try await database.createQueue("work")
            let address = try #require(server.tcpURL.flatMap { URLComponents(string: $0) })
            let folder = try TestFolder()
            let environment = try [
                "PGSERVICEFILE": folder.write(
                    "services",
                    "[app]\nhost=127.0.0.1\nport=\(port)\nuser=postgres\ndbname=\(database.name)\n"
                ),
                "PGPASSFILE": folder.write(
                    "passwords",
                    "127.0.0.1:\(port):\(database.name):postgres:\(address.password ?? "")\n",
                    mode: 0o600
                ),
            ]
            for url in [
                "postgresql://?service=app",
                "postgresql://postgres@127.0.0.1:\(FreePort.find()),127.0.0.1:\(port)/\(database.name)"
                    + "?target_session_attrs=read-write",
            ] {
                var settings = Settings(url: url)
                settings.add(queue: "work", handler: "{ discard = true }")
                let sent = try await ProgramRun(["send", "work", "1", "--database", url], environment: environment)
                #expect(sent.code == 0, "\(sent.errors)")
                let daemon = try DaemonProcess(settings.text, environment: environment)
                try await daemon.ready()
                try await database.emptied("work")
                #expect(try await daemon.stop() == 0)
            }
            let refused = try await ProgramRun(["queues", "--database", "postgresql://?service=app"])
            #expect(refused.code != 0)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    @Test func `the owner prepares what the daemon works on and an operator looks at`() async throws {
        let database = try await TestServer.common().database()
        try await database.sql("drop schema pgmqd cascade")
        let (worker, reader) = ("worker_\(database.name)", "reader_\(database.name)")
        for role in [worker, reader] { try await database.sql("create role \(role) login") }
        let readerURL = database.url.replacing("user=postgres", with: "user=\(reader)")
        let folder = try TestFolder()
        var settings = Settings(url: database.url.replacing("user=postgres", with: "user=\(worker)"))
        settings.add(queue: "work", handler: "{ discard = true }")
        let file = try folder.write("pgmqd.toml", settings.text)
        func pgmqd(_ arguments: String...) async throws -> ProgramRun {
            try await ProgramRun(arguments + ["-c", file])
        }

        let asWorker = try await pgmqd("migrate", "--create-queues")
        #expect(asWorker.code == 77)
        #expect(asWorker.errors.contains("--database"))
        #expect(try await pgmqd("migrate", "--create-queues", "--database", database.url).code == 0)
        #expect(try await pgmqd("check", "--connect", "--database", database.url).code == 0)
        #expect(try await pgmqd("check", "--database", database.url).code == 64)

        let grants = try await pgmqd("grants", "--role", worker, "--database", database.url)
        #expect(grants.code == 0)
        try await database.server.postgres.psql(grants.text, database: database.name)
        #expect(try await pgmqd("check", "--connect").code == 0)
        let refused = try await pgmqd("queues")
        #expect(refused.code == 77)
        #expect(refused.errors.contains("--operator"))

        #expect(try await pgmqd("grants", "--operator", "--database", database.url).code == 64)
        let looking = try await pgmqd("grants", "--operator", "--role", reader, "--database", database.url)
        #expect(looking.code == 0)
        try await database.server.postgres.psql(looking.text, database: database.name)
        for command in [["queues"], ["peek", "work"], ["dlq", "list", "work"]] {
            let run = try await ProgramRun(command + ["--database", readerURL])
            #expect(run.code == 0, "\(command): \(run.errors)")
        }
        #expect(try await ProgramRun(["send", "work", "1", "--database", readerURL]).code == 77)
    }
}
