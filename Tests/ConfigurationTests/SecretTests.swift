import PGMQWorker
import Testing

@Suite struct SecretTests {
    private let url = "postgresql://app:hunter2@db/app"

    @Test func `no description shows it`() {
        let database = Configuration.Database(url: Secret(url))
        let queue = QueueConfiguration(
            name: "a",
            handler: .command(
                argv: ["/bin/true", "--token=hunter2"],
                environment: ["TOKEN": "hunter2"],
                workingDirectory: nil,
                terminationGrace: .zero,
                snooze: .zero
            )
        )
        let configuration = Configuration(database: database, queues: [queue])
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped, "\(database.url)"] {
            #expect(!text.contains("hunter2"))
        }
        #expect(dumped.contains("(secret)"))
    }

    @Test(arguments: [
        // Not TOML, one way and another.
        "[database]\nurl = postgresql://app:hunter2@db/app",
        "[database]\nurl = \"postgresql://app:hunter2@db/app",
        "[database]\nurl = \"\"\"postgresql://app:hunter2@db/app",
        "[database]\nurl = \"postgresql://app:\\hunter2@db/app\"",
        "[database]\nurl = \"a\"\nurl = \"postgresql://app:hunter2@db/app\"",
        "[database]\nurl = hunter2",
        "[database]\nurl = truehunter2",
        "[database]\nurl = true-hunter2-true",
        "[database]\n\"postgresql://app:hunter2@db/app\"",
        "[database]\nurl \"postgresql://app:hunter2@db/app\"",
        "[[queue]]\nhandler = { command = [\"/bin/true\" \"hunter2\"] }",
        "[[queue]]\nhandler = { environment = { TOKEN = hunter2 } }",
        // TOML, and wrong.
        "[database]\nurl = \"postgresql://app:${hunter2@db/app\"",
        "[database]\nurl = \"postgresql://app:${hun+hunter2}@db/app\"",
        "[database]\nurl = [\"postgresql://app:hunter2@db/app\"]",
        "[database]\nulr = \"postgresql://app:hunter2@db/app\"",
        "[database]\nurl.url = \"postgresql://app:hunter2@db/app\"",
        "database = \"postgresql://app:hunter2@db/app\"",
        "[database]\ncall_deadline = \"${PASSWORD}\"",
        "[daemon]\nlog_level = \"${PASSWORD}\"\nlog_format = \"${credential:password}\"",
        "[daemon]\nmax_inflight_bytes = \"${PASSWORD}\"",
        "[admin]\nlisten = \"${PASSWORD}\"",
        "[admin]\nlisten = \"${PASSWORD}:1\"",
        "[[queue]]\nname = \"it's ${PASSWORD}\"",
        "[[queue]]\nname = \"a\"\nhandler = { command = [\"${PASSWORD}\"] }",
        "[[queue]]\nname = \"a\"\nhandler = { command = [\"/${PASSWORD}\"], working_directory = \"/${PASSWORD}\" }",
        "[[queue]]\nname = \"a\"\nhandler = { command = [\"/bin/true\", 1, \"hunter2\"] }",
        "[[queue]]\nname = \"a\"\nhandler = { environment = { A = [\"hunter2\"], \"B-B\" = \"hunter2\" } }",
    ])
    func `no complaint shows it`(_ text: String) throws {
        let credentials = try ConfigurationFolder(["password": "hunter2"])
        let complaint = complaint(
            text,
            environment: ["PASSWORD": "hunter2", "CREDENTIALS_DIRECTORY": credentials.path]
        )
        #expect(!complaint.isEmpty)
        #expect(!complaint.contains("unte"))
    }
}
