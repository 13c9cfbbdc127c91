import Testing

@Suite struct MalformedHandlerTests {
    @Test(arguments: [
        Malformed.handler(
            "a program that is nowhere",
            #"{ command = ["/usr/lib/app/no-such-program"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: there is no file "/usr/lib/app/no-such-program""#
        ),
        .handler(
            "a program that is not in PATH",
            #"{ command = ["no-such-program"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: there is no "no-such-program" in PATH "#
                + "(/usr/local/bin:/usr/bin:/bin)"
        ),
        .handler(
            "a file that is no program",
            #"{ command = ["/etc/passwd"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: "/etc/passwd" is not executable"#
        ),
        .handler(
            "a folder for a program",
            #"{ command = ["/usr/bin"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: "/usr/bin" is not a file"#
        ),
        .handler(
            "a path that depends on where one stands",
            #"{ command = ["bin/true"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: "bin/true" is neither an absolute path nor a bare name "#
                + "to be found in PATH"
        ),
        .handler(
            "a command line for a shell",
            #"{ command = "/bin/true --quick" }"#,
            #"pgmqd.toml:6: queue "emails".handler.command: expected an array of strings, the program and its "#
                + "arguments (no shell reads them), got a string"
        ),
        .handler(
            "an empty command",
            "{ command = [] }",
            #"pgmqd.toml:6: queue "emails".handler.command: is empty; expected an array of strings, the program and "#
                + "its arguments (no shell reads them)"
        ),
        .handler(
            "an argument that is no string",
            #"{ command = ["/bin/true", 1] }"#,
            #"pgmqd.toml:6: queue "emails".handler.command[2]: expected a string, got a whole number"#
        ),
        .handler(
            "no kind",
            "{ }",
            #"pgmqd.toml:6: queue "emails".handler: says no kind; give one of command, swift, discard"#
        ),
        .handler(
            "a misspelt kind",
            #"{ comand = ["/bin/true"] }"#,
            #"pgmqd.toml:6: queue "emails".handler.comand: unknown key; did you mean command?"#
        ),
        .handler(
            "two kinds",
            #"{ command = ["/bin/true"], swift = "send" }"#,
            #"pgmqd.toml:6: queue "emails".handler: command and swift contradict each other; give one"#
        ),
        .handler(
            "a kind to come",
            #"{ http = "http://127.0.0.1/" }"#,
            #"pgmqd.toml:6: queue "emails".handler.http: this version has no http handlers; it has command, swift "#
                + "and discard"
        ),
        .handler(
            "a discard that does not",
            "{ discard = false }",
            #"pgmqd.toml:6: queue "emails".handler.discard: false says nothing; leave it out, or write true"#
        ),
        .handler(
            "a nameless handler",
            #"{ swift = "" }"#,
            #"pgmqd.toml:6: queue "emails".handler.swift: must not be empty"#
        ),
        .handler(
            "options of another kind",
            #"{ swift = "send", snooze = "1m" }"#,
            #"pgmqd.toml:6: queue "emails".handler.snooze: goes with a command only"#
        ),
        .handler(
            "surroundings that do not exist",
            #"{ command = ["/bin/true"], working_directory = "/no/such/folder", environment = { "A-B" = "x", C = 1 } }"#,
            #"pgmqd.toml:6: queue "emails".handler.environment.A-B: is no variable's name: letters, digits and _ "#
                + "only, and no digit first",
            #"pgmqd.toml:6: queue "emails".handler.environment.C: expected a string, got a whole number"#,
            #"pgmqd.toml:6: queue "emails".handler.working_directory: there is no folder "/no/such/folder""#
        ),
        .handler(
            "a variable that says what only the daemon knows",
            #"{ command = ["/bin/true"], environment = { PGMQD_X = "1", MY_PGMQD_X = "1" } }"#,
            #"pgmqd.toml:6: queue "emails".handler.environment.PGMQD_X: is set by pgmqd itself; choose a name that "#
                + "does not begin with PGMQD_"
        ),
        .handler(
            "a program without a table",
            #""/bin/true""#,
            #"pgmqd.toml:6: queue "emails".handler: expected a table such as { command = "#
                + #"["/usr/lib/app/send-email"] }, got a string"#
        ),
    ])
    func `a queue's handler`(_ malformed: Malformed) async throws {
        try await expectRefusal(malformed)
    }
}
