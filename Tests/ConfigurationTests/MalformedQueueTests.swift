import Testing

@Suite struct MalformedQueueTests {
    @Test(arguments: [
        Malformed.queue(
            "a misspelt key",
            "visibilty_timeout = \"30s\"",
            #"pgmqd.toml:7: queue "emails".visibilty_timeout: unknown key; did you mean visibility_timeout?"#
        ),
        .queue("a key like no other", "colour = 1", #"pgmqd.toml:7: queue "emails".colour: unknown key"#),
        .queue(
            "another way of writing names",
            "maxAttempts = 3\nhandler-timeout = \"1m\"",
            #"pgmqd.toml:7: queue "emails".maxAttempts: unknown key; did you mean max_attempts?"#,
            #"pgmqd.toml:8: queue "emails".handler-timeout: unknown key; did you mean handler_timeout?"#
        ),
        .queue(
            "a number for a duration",
            "visibility_timeout = 30",
            #"pgmqd.toml:7: queue "emails".visibility_timeout: expected a duration in quotes, such as "30s", "#
                + "got a whole number"
        ),
        .queue(
            "a duration without a unit",
            "poll_interval = \"30\"",
            #"pgmqd.toml:7: queue "emails".poll_interval: "30" is no duration; write a whole number with ms, s, m, h "#
                + #"or d, such as "30s""#
        ),
        .queue(
            "a string for a number",
            "workers = \"8\"",
            #"pgmqd.toml:7: queue "emails".workers: expected a whole number, got a string"#
        ),
        .queue(
            "a string for a truth",
            "synchronous_commit = \"off\"",
            #"pgmqd.toml:7: queue "emails".synchronous_commit: expected true or false, got a string"#
        ),
        .queue("no workers", "workers = 0", #"pgmqd.toml:7: queue "emails".workers: 0 is not from 1 to 10000"#),
        .queue(
            "no attempts",
            "max_attempts = 0\nmax_crashes = 1001",
            #"pgmqd.toml:7: queue "emails".max_attempts: 0 is not from 1 to 1000"#,
            #"pgmqd.toml:8: queue "emails".max_crashes: 1001 is not from 1 to 1000"#
        ),
        .queue(
            "a handler without time",
            "handler_timeout = \"0s\"",
            #"pgmqd.toml:7: queue "emails".handler_timeout: "0s" is not from 1ms to 7d"#
        ),
        .queue(
            "a lease too long",
            "visibility_timeout = \"13h\"",
            #"pgmqd.toml:7: queue "emails".visibility_timeout: "13h" is not from 1ms to 12h"#
        ),
        .queue(
            "a lease too short to keep",
            "visibility_timeout = \"5s\"",
            #"pgmqd.toml:7: queue "emails".visibility_timeout: 5s is below 6600ms, which is three times "#
                + "database.call_deadline (2s by default) and a tenth of it; raise visibility_timeout or lower "
                + "call_deadline"
        ),
        Malformed(
            "a call that outlasts the usual lease",
            sound.replacing("app\"", with: "app\"\ncall_deadline = \"10s\""),
            #"pgmqd.toml:5: queue "emails".visibility_timeout: 30s by default is below 33s, which is three times "#
                + "database.call_deadline (10s) and a tenth of it; raise visibility_timeout or lower call_deadline"
        ),
        .queue(
            "a poll too eager",
            "poll_interval = \"99ms\"",
            #"pgmqd.toml:7: queue "emails".poll_interval: "99ms" is not from 100ms to 1h"#
        ),
        .queue(
            "a size that is none",
            "max_message_bytes = \"1mb\"",
            #"pgmqd.toml:7: queue "emails".max_message_bytes: "1mb" is no size; write a whole number with one of B, "#
                + #"kB, KiB, MB, MiB, GB, GiB, such as "1MiB""#
        ),
        .queue(
            "a size too small",
            "max_message_bytes = 999",
            #"pgmqd.toml:7: queue "emails".max_message_bytes: 999 is not from 1kB to 256MiB"#
        ),
        .queue(
            "a message larger than all may be together",
            "max_message_bytes = \"128MiB\"",
            #"pgmqd.toml:7: queue "emails".max_message_bytes: 128MiB is more than daemon.max_inflight_bytes "#
                + "(64MiB by default)"
        ),
        .queue(
            "an outcome that is none",
            "on_success = \"achive\"",
            #"pgmqd.toml:7: queue "emails".on_success: "achive" is none of delete, archive; did you mean archive?"#
        ),
        .queue(
            "a back-off inside out",
            "backoff = { first = \"1m\", factor = 0.5, max = \"30s\", jitter = 2 }",
            #"pgmqd.toml:7: queue "emails".backoff.factor: 0.5 is not from 1.0 to 1000.0"#,
            #"pgmqd.toml:7: queue "emails".backoff.jitter: 2.0 is not from 0.0 to 1.0"#,
            #"pgmqd.toml:7: queue "emails".backoff.max: max is 30s, below first, which is 1m"#
        ),
        .queue(
            "a first delay above the usual longest",
            "[queue.backoff]\nfirst = \"20m\"\nfactr = 2",
            #"pgmqd.toml:8: queue "emails".backoff.first: max is 10m by default, below first, which is 20m"#,
            #"pgmqd.toml:9: queue "emails".backoff.factr: unknown key; did you mean factor?"#
        ),
        .queue(
            "a number that is none",
            "backoff.factor = nan",
            #"pgmqd.toml:7: queue "emails".backoff.factor: nan is not from 1.0 to 1000.0"#
        ),
        .queue(
            "a back-off that is no table",
            "backoff = \"2s\"",
            #"pgmqd.toml:7: queue "emails".backoff: expected a table such as { first = "2s", max = "10m" }, "#
                + "got a string"
        ),
    ])
    func `a queue's own values`(_ malformed: Malformed) async throws {
        try await expectRefusal(malformed)
    }
}
