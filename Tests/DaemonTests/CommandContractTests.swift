import Foundation
import Glibc
import TestSupport
import Testing

/// What a command's end means, from the message in the queue to the message's end.
@Suite struct CommandContractTests {
    /// Notes the run, says what it was told, and does it. The message is a JSON string.
    private static let program = """
        #!/bin/sh
        how=$(tr -d '"')
        echo "$PGMQD_ATTEMPT" >> "$1/$PGMQD_MSG_ID"
        echo "told: $how" >&2
        eval "$how"
        """

    private struct Case {
        let order: String
        /// The attempts, as the command was told their numbers.
        let attempts: [Int]
        /// How the reason of its dead-lettering begins; nil: it is done.
        let reason: String?
    }

    private static let cases = [
        Case(order: "exit 0", attempts: [1], reason: nil),
        Case(order: "exit 65", attempts: [1], reason: "exit status 65: told: exit 65"),
        Case(order: "exit 100", attempts: [1], reason: "exit status 100: told: exit 100"),
        Case(order: "exit 75", attempts: [1, 2], reason: "exit status 75: told: exit 75"),
        Case(order: "exit 1", attempts: [1, 2], reason: "exit status 1: told: exit 1"),
        Case(order: "exit 255", attempts: [1, 2], reason: "exit status 255: told: exit 255"),
        Case(order: "kill -SEGV $$", attempts: [1, 2], reason: "killed by SIGSEGV"),
        Case(order: "kill -KILL $$", attempts: [1, 2], reason: "killed by SIGKILL"),
        // A snooze spends none of the two.
        Case(order: "[ $(wc -l < $1/$PGMQD_MSG_ID) -gt 3 ] || exit 99", attempts: [1, 1, 1, 1], reason: nil),
        Case(order: "[ $PGMQD_ATTEMPT -gt 1 ] || exit 75", attempts: [1, 2], reason: nil),
        Case(
            order: "sleep 600",
            attempts: [1, 2],
            reason: "timed out after 15.0 seconds: terminated by pgmqd: killed by"
        ),
        Case(
            order: "trap : TERM; while :; do sleep 600; done",
            attempts: [1, 2],
            reason: "timed out after 15.0 seconds: terminated by pgmqd: killed by SIGKILL"
        ),
        // Told to end, it says that all is well: nobody can know.
        Case(
            order: "trap exit TERM; sleep 600 & wait",
            attempts: [1, 2],
            reason: "timed out after 15.0 seconds: terminated by pgmqd: exit status"
        ),
    ]

    @Test func `every end of a command has its outcome`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let program = try await folder.program("program", Self.program)
        let settings = Settings.patient(
            database,
            queue: "work",
            handler: "{ command = ['\(program)', '\(folder.path)'], snooze = '10ms', termination_grace = '8s' }",
            extra: ["handler_timeout = '15s'", "max_attempts = 2", "backoff = { first = '10ms', max = '10ms' }"]
        )
        let ids = try await database.send("work", Self.cases.map { "\"\($0.order)\"" })
        let daemon = try DaemonProcess(settings.text)
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        for (id, expected) in zip(ids, Self.cases) {
            let attempts = (folder.text("\(id)") ?? "").split(separator: "\n").compactMap { Int($0) }
            #expect(attempts == expected.attempts, "\(expected.order)")
            let reason = try await database.text(
                "select headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq where headers->'x-pgmqd'->>'msg_id' = '\(id)'"
            )
            guard let begin = expected.reason else {
                #expect(reason == nil, "\(expected.order)")
                continue
            }
            #expect(reason?.hasPrefix(begin) == true, "\(expected.order): \(reason ?? "not dead-lettered")")
            #expect(reason?.contains("told: \(expected.order)") == true, "\(expected.order): \(reason ?? "")")
        }
        #expect(try await database.int("select count(*) from pgmqd.journal") == 0)
    }

    @Test func `a program that cannot be started pauses its queue and spends no attempt`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let program = try await folder.program("program", Self.program)
        let handler = "{ command = ['\(program)', '\(folder.path)'] }"
        let settings = Settings.patient(database, queue: "work", handler: handler, extra: ["max_attempts = 1"])
        let daemon = try DaemonProcess(settings.text)
        try await daemon.ready()
        try await database.send("work", [#""exit 0""#])
        try await database.emptied("work")
        #expect(rename(program, program + ".away") == 0)
        let ids = try await database.send("work", [#""exit 0""#, #""exit 0""#, #""exit 0""#])
        try await daemon.logged("queue paused")
        #expect(daemon.log.contains("cannot start \(program)"))
        try await eventually("what was claimed is handed back") {
            try await database.int(
                """
                select count(*) from pgmq.q_work where read_ct > 0
                and vt between clock_timestamp() + interval '2 s' and clock_timestamp() + interval '5 s'
                """
            ) > 0
        }
        #expect(try await database.count("work") == 3)
        #expect(rename(program + ".away", program) == 0)
        try await daemon.logged("queue resumed")
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        #expect(ids.allSatisfy { folder.text("\($0)") == "1\n" })
        #expect(try await database.count("work_dlq") == 0)
        // Not a line for each message, nor for each try.
        #expect(daemon.log.components(separatedBy: "queue paused").count <= 3)
    }

    @Test func `a command is told of its message, and none of the daemon's secrets`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let folder = try TestFolder()
        let id = try await database.int(#"select pgmq.send('work', '{}', '{"trace": "a b"}'::jsonb, 0)"#)
        let enqueued = try await database.text(
            #"select to_char(enqueued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from pgmq.q_work"#
        )
        let script = #"env > "$1/new"; mv "$1/new" "$1/env""#
        let daemon = try DaemonProcess(
            Settings.patient(
                database,
                queue: "work",
                handler: TestFolder.shell(script, folder.path, options: ", environment = { COLOUR = 'green' }")
            ).text,
            environment: ["PGPASSWORD": "secret", "SOME_TOKEN": "secret", "LANG": "C.UTF-8"]
        )
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        var variables: [String: String] = [:]
        for line in (folder.text("env") ?? "").split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            variables[String(parts[0])] = String(parts[1])
        }
        #expect(variables["PGMQD_QUEUE"] == "work")
        #expect(variables["PGMQD_MSG_ID"] == "\(id)")
        #expect(variables["PGMQD_ATTEMPT"] == "1")
        #expect(variables["PGMQD_READ_COUNT"] == "1")
        #expect(variables["PGMQD_ENQUEUED_AT"] == enqueued)
        #expect(variables["PGMQD_HEADERS"] == #"{"trace": "a b"}"#)
        #expect(variables["PGMQD_IDEMPOTENCY_KEY"]?.isEmpty == false)
        #expect(variables["COLOUR"] == "green")
        #expect(variables["LANG"] == "C.UTF-8")
        #expect(!(folder.text("env") ?? "").contains("secret"))
        #expect(variables.keys.allSatisfy { !$0.hasPrefix("PG") || $0.hasPrefix("PGMQD_") })
    }
}
