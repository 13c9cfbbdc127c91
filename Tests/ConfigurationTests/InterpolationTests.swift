import PGMQWorker
import Testing

@Suite struct InterpolationTests {
    @Test(arguments: [
        ("plain", [Interpolation.Part.literal("plain")]),
        ("", []),
        ("$", [.literal("$")]),
        ("a$b{c}", [.literal("a$b{c}")]),
        ("${A}", [.reference(.variable("A"))]),
        (
            "x${A_1}y${credential:db-pass.word}",
            [
                .literal("x"), .reference(.variable("A_1")), .literal("y"), .reference(.credential("db-pass.word")),
            ]
        ),
        ("$${A}", [.literal("${A}")]),
        ("$$${A}", [.literal("$${A}")]),
        ("é${É}", [.literal("é"), .malformed]),
        ("a${", [.literal("a"), .malformed]),
        ("${}", [.malformed]),
        ("${1A}", [.malformed]),
        ("${A B}", [.malformed]),
        ("${credential:}", [.malformed]),
        ("${credential:..}", [.malformed]),
        ("${credential:../../etc/shadow}", [.malformed]),
    ])
    func `texts fall into parts`(_ text: String, _ parts: [Interpolation.Part]) {
        #expect(Interpolation.parts(of: text) == parts)
    }

    @Test func `variables and credentials are put in`() throws {
        let credentials = try ConfigurationFolder([
            "password": "p w\n", "windows": "w\r\n", "bare": "b", "two": "t\n\n",
        ])
        let read = try configuration(
            """
            [database]
            url = "host=${HOST} password='${credential:password}'"
            [[queue]]
            name = "${PREFIX}_emails"
            visibility_timeout = "${LEASE}s"
            handler = { command = ["/bin/true", "$${HOST}", "${credential:windows}", "${credential:bare}"] }
            [[queue]]
            name = "b"
            handler = { command = ["/bin/true"], environment = { T = "${credential:two}" } }
            """,
            environment: [
                "HOST": "${NOT_AGAIN}", "PREFIX": "Test", "LEASE": "20", "CREDENTIALS_DIRECTORY": credentials.path,
            ]
        )
        #expect(read.database.url == Secret("host=${NOT_AGAIN} password='p w'"))
        #expect(read.queues.first?.name == "test_emails")
        #expect(read.queues.first?.visibilityTimeout == .seconds(20))
        #expect(read.queues.first?.handler == .command(["/bin/true", "${HOST}", "w", "b"]))
        guard case .command(_, let environment, _, _, _) = read.queues.last?.handler else {
            Issue.record("no command")
            return
        }
        #expect(environment == ["T": "t\n"])
    }

    @Test func `keys are left alone`() {
        #expect(complaint(sound + "\n\"${A}\" = 1", environment: ["A": "workers"]).contains("\"${A}\": unknown key"))
    }

    @Test func `all that is missing is told at once`() throws {
        let credentials = try ConfigurationFolder(["other": ""])
        let text = sound.replacing("postgresql:///app", with: "${HOST} ${credential:password} ${B")
        #expect(
            complaint(text, environment: ["CREDENTIALS_DIRECTORY": credentials.path])
                == "pgmqd.toml:2: database.url: the environment has no variable HOST; credential password: "
                + "\(credentials.path)/password cannot be read: No such file or directory; a ${…} must hold NAME or "
                + "credential:NAME; write $${ where ${ itself is meant"
        )
        #expect(
            complaint(sound.replacing("postgresql:///app", with: "${credential:password}"))
                == "pgmqd.toml:2: database.url: credential password: there is no CREDENTIALS_DIRECTORY; the unit needs "
                + "LoadCredential=password:/etc/pgmqd/secrets/password, and outside of it a command is told the folder: "
                + "CREDENTIALS_DIRECTORY=/etc/pgmqd/secrets pgmqd …"
        )
    }
}
