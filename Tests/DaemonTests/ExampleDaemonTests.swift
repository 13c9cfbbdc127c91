import Postgres
import TestSupport
import Testing

/// The daemon of one's own that the README shows.
@Suite struct ExampleDaemonTests {
    @Test func `its typed handler is given what was sent, and refuses what it cannot use`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("greetings")
        let folder = try TestFolder()
        let settings = Settings(database, queue: "greetings", handler: #"{ swift = "greet" }"#)
        let file = try folder.write("pgmqd.toml", settings.text)
        let daemon = try DaemonProcess("", program: "ExampleDaemon", arguments: [file])
        try await daemon.ready()
        try await database.send("greetings", [#"{"name": "Ada"}"#, #"{"name": ""}"#, #"{"nome": "Ada"}"#])
        try await database.emptied("greetings")
        #expect(try await daemon.stop() == 0)
        #expect(daemon.log.contains("hello Ada (message 1)\n"))
        let letters = try await database.sql(
            """
            select (headers->'x-pgmqd'->>'msg_id')::bigint, headers->'x-pgmqd'->>'reason'
            from pgmq.q_greetings_dlq order by 1
            """
        )
        try #require(letters.count == 2)
        #expect(letters.int(0, 0) == 2)
        #expect(letters.text(0, 1) == "nobody to greet")
        #expect(letters.int(1, 0) == 3)
        #expect(letters.text(1, 1) == "undecodable: nothing at name")
    }

    @Test func `a handler that it does not have ends it with 78`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let settings = Settings(database, queue: "work", handler: #"{ swift = "gret" }"#)
        let file = try folder.write("pgmqd.toml", settings.text)
        let daemon = try DaemonProcess("", program: "ExampleDaemon", arguments: [file])
        #expect(try await daemon.exit() == 78)
        #expect(daemon.log.contains("gret"))
        #expect(daemon.log.contains("greet"))
    }
}
