import Testing

@Suite struct MalformedWholeTests {
    @Test(arguments: [
        Malformed(
            "nothing at all",
            "",
            "pgmqd.toml: database.url: is missing; \"postgresql://\" leaves everything to libpq's own defaults",
            "pgmqd.toml: there is no queue to work on; add a [[queue]] with name and handler"
        ),
        Malformed(
            "no queue",
            "[database]\nurl = \"postgresql:///app\"",
            "pgmqd.toml: there is no queue to work on; add a [[queue]] with name and handler"
        ),
        Malformed(
            "a misspelt table, which then is not called missing",
            sound.replacing("[[queue]]", with: "[[queues]]"),
            "pgmqd.toml:4: queues: unknown key; did you mean queue?"
        ),
        Malformed(
            "a misspelt key, which then is not called missing",
            sound.replacing("url", with: "ulr").replacing("name", with: "nane"),
            "pgmqd.toml:2: database.ulr: unknown key; did you mean url?",
            "pgmqd.toml:5: queue[1].nane: unknown key; did you mean name?"
        ),
        Malformed(
            "one queue too many brackets short",
            sound.replacing("[[queue]]", with: "[queue]"),
            "pgmqd.toml:4: queue: expected an array of tables, each headed [[queue]], got a table"
        ),
        Malformed(
            "sections that are none",
            "database = \"postgresql:///app\"\n" + sound.dropFirst("[database]\nurl = \"postgresql:///app\"".count),
            "pgmqd.toml:1: database: expected a table, headed [database], got a string"
        ),
        Malformed(
            "a nameless queue without work",
            sound + "\n[[queue]]\nworkers = 2",
            "pgmqd.toml:7: queue[2].name: is missing",
            #"pgmqd.toml:7: queue[2].handler: is missing; write handler = { command = ["/usr/lib/app/send-email"] }"#
        ),
        Malformed(
            "a state directory that is not there",
            sound + "\n[daemon]\nstate_directory = '/no/such/folder'",
            "pgmqd.toml:8: daemon.state_directory: there is no folder \"/no/such/folder\"; make it, and give it to the "
                + "daemon's user"
        ),
        Malformed(
            "a state directory that is a file",
            sound + "\n[daemon]\nstate_directory = '/etc/passwd'",
            "pgmqd.toml:8: daemon.state_directory: \"/etc/passwd\" is not a folder"
        ),
        Malformed(
            "a state directory that depends on where the daemon stands",
            sound + "\n[daemon]\nstate_directory = 'state'",
            "pgmqd.toml:8: daemon.state_directory: \"state\" does not begin with /"
        ),
        Malformed(
            "values of the daemon",
            sound + """

                [daemon]
                workers = 20000
                shutdown_grace = "2h"
                log_format = "jurnal"
                log_level = "loud"
                max_inflight_bytes = true
                visibility_timeout = "30s"
                """,
            "pgmqd.toml:8: daemon.workers: 20000 is not from 1 to 10000",
            "pgmqd.toml:9: daemon.shutdown_grace: \"2h\" is not from 0s to 1h",
            "pgmqd.toml:10: daemon.log_format: \"jurnal\" is none of auto, journal, text, json; did you mean journal?",
            "pgmqd.toml:11: daemon.log_level: \"loud\" is none of trace, debug, info, notice, warning, error, critical",
            "pgmqd.toml:12: daemon.max_inflight_bytes: expected a size such as \"1MiB\", or a number of bytes, "
                + "got true or false",
            "pgmqd.toml:13: daemon.visibility_timeout: unknown key"
        ),
        Malformed(
            "values of the database",
            sound.replacing("url = \"postgresql:///app\"", with: "url = \"\"\nlisten_url = 1\ncall_deadline = \"1ms\""),
            "pgmqd.toml:2: database.url: must not be empty",
            "pgmqd.toml:3: database.listen_url: expected a string, got a whole number",
            "pgmqd.toml:4: database.call_deadline: \"1ms\" is not from 100ms to 1m"
        ),
        Malformed(
            "an address for the whole world",
            sound + "\n[admin]\nlisten = \"0.0.0.0:9464\"",
            "pgmqd.toml:8: admin.listen: \"0.0.0.0\" is not loopback; this version serves 127.0.0.1, [::1], localhost "
                + "or unix:/path only, so put a proxy in front of it"
        ),
        Malformed(
            "a NUL in a string",
            sound.replacing("emails", with: "em\\u0000ails"),
            "pgmqd.toml:5: a string holds \\u0000, which no value here may have"
        ),
        Malformed(
            "mistakes everywhere",
            """
            [databse]
            url = "postgresql:///app"
            [daemon]
            workers = "many"
            [[queue]]
            name = "Orders"
            visibility_timeout = "1s"
            handler = { command = ["/no/such/program"] }
            [[queue]]
            name = "it's"
            max_attempts = 0
            handler = { sql = "f" }
            [[queue]]
            name = "orders"
            dead_letter = "ORDERS"
            """,
            "pgmqd.toml:1: databse: unknown key; did you mean database?",
            "pgmqd.toml:4: daemon.workers: expected a whole number, got a string",
            #"pgmqd.toml:7: queue "Orders".visibility_timeout: 1s is below 6600ms, which is three times "#
                + "database.call_deadline (2s by default) and a tenth of it; raise visibility_timeout or lower "
                + "call_deadline",
            #"pgmqd.toml:8: queue "Orders".handler.command: there is no file "/no/such/program""#,
            #"pgmqd.toml:10: queue "it's".name: a queue's name must not contain '; PGMQ refuses it"#,
            #"pgmqd.toml:11: queue "it's".max_attempts: 0 is not from 1 to 1000"#,
            #"pgmqd.toml:12: queue "it's".handler.sql: this version has no sql handlers; it has command, swift "#
                + "and discard",
            #"pgmqd.toml:13: queue "orders".handler: is missing; write handler = { command = "#
                + #"["/usr/lib/app/send-email"] }"#,
            #"pgmqd.toml:14: queue "orders".name: this queue is at pgmqd.toml:5 already (PGMQ lower-cases names)"#
        ),
    ])
    func `the whole`(_ malformed: Malformed) async throws {
        try await expectRefusal(malformed)
    }

    @Test(arguments: [
        ("[database\nurl = 1", "pgmqd.toml:1:10: not TOML: "),
        ("[database]\nurl = \"a\"\nurl = \"b\"", "pgmqd.toml:3:"),
        ("[database]\nurl = \"a", "pgmqd.toml:2:"),
    ])
    func `what is not TOML`(_ text: String, _ beginning: String) {
        let complaint = complaint(text)
        #expect(complaint.hasPrefix(beginning))
        // What the rest would have held is not called missing.
        #expect(complaint.split(separator: "\n").count == 1)
    }
}
