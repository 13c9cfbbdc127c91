import Engine
import Logging
import PGMQWorker
import Systemd
import Testing

@Suite struct DefaultsTests {
    @Test func `what is not said has its default`() throws {
        let read = try configuration(sound)
        #expect(read.database.listenURL == nil)
        #expect(read.database.callDeadline == .seconds(2))
        #expect(read.daemon.workers == 8)
        #expect(read.daemon.shutdownGrace == .seconds(25))
        #expect(read.daemon.logFormat == .auto)
        #expect(read.daemon.logLevel == .info)
        #expect(read.daemon.maxInflightBytes == 67_108_864)
        #expect(read.daemon.stateDirectory == nil)
        #expect(read.admin.listen == nil)
        let queue = try #require(read.queues.first)
        #expect(read.queues.count == 1)
        #expect(queue.workers == 8)
        #expect(queue.visibilityTimeout == .seconds(30))
        #expect(queue.handlerTimeout == .seconds(300))
        #expect(queue.retry.maxAttempts == 5)
        #expect(queue.retry.first == .seconds(2))
        #expect(queue.retry.factor == 2)
        #expect(queue.retry.max == .seconds(600))
        #expect(queue.retry.jitter == 0.2)
        #expect(queue.maxCrashes == 3)
        #expect(queue.onSuccess == .delete)
        #expect(queue.deadLetter == "emails_dlq")
        #expect(queue.pollInterval == .seconds(15))
        #expect(queue.maxMessageBytes == 1_048_576)
        #expect(queue.durable)
    }

    /// So a configuration made in Swift and one read from a file mean the same.
    @Test func `initialisers have the same defaults`() throws {
        let made = Configuration(
            database: .init(url: Secret("postgresql:///app")),
            queues: [.init(name: "emails", handler: .discard)]
        )
        #expect(try configuration(sound) == made)
    }

    @Test func `queues take the daemon's workers, and nothing else of it`() throws {
        let more = "\n[daemon]\nworkers = 2\n[[queue]]\nname = 'b'\nworkers = 5\nhandler.swift = 'b'"
        let read = try configuration(sound + more)
        #expect(read.queues.map(\.workers) == [2, 5])
    }

    @Test func `what is said counts`() throws {
        let read = try configuration(
            """
            database = { url = "service=app", call_deadline = "200ms" }
            [daemon]
            shutdown_grace = "0s"
            log_format = "json"
            log_level = "debug"
            max_inflight_bytes = 1000000
            state_directory = "/tmp"
            [admin]
            listen = "[::1]:9464"
            [[queue]]
            name = "Emails"
            visibility_timeout = "660ms"
            handler_timeout = "7d"
            max_attempts = 1
            backoff = { first = "1s", factor = 1, max = "1s", jitter = 0 }
            max_crashes = 1
            on_success = "archive"
            dead_letter = "Broken Mail"
            poll_interval = "100ms"
            max_message_bytes = "64kB"
            synchronous_commit = false
            handler = { swift = "send-email" }
            """
        )
        let queue = QueueConfiguration(
            name: "Emails",
            visibilityTimeout: .milliseconds(660),
            handlerTimeout: .seconds(7 * 86_400),
            retry: RetryPolicy(maxAttempts: 1, first: .seconds(1), factor: 1, max: .seconds(1), jitter: 0),
            maxCrashes: 1,
            onSuccess: .archive,
            deadLetter: "broken mail",
            pollInterval: .milliseconds(100),
            maxMessageBytes: 64_000,
            durable: false,
            handler: .swift(name: "send-email")
        )
        #expect(read.queues == [queue])
        #expect(queue.name == "emails")
        #expect(queue.writtenName == "Emails")
        #expect(read.database == .init(url: Secret("service=app"), callDeadline: .milliseconds(200)))
        #expect(read.daemon.shutdownGrace == .zero)
        #expect(read.daemon.logFormat == .json)
        #expect(read.daemon.logLevel == .debug)
        #expect(read.daemon.maxInflightBytes == 1_000_000)
        #expect(read.daemon.stateDirectory == "/tmp")
        #expect(read.admin.listen == .tcp(host: "::1", port: 9464))
    }

    @Test(
        arguments: [
            ("/var/lib/a", "/var/lib/a"), ("/var/lib/a:/var/lib/b", "/var/lib/a"), ("", nil), ("a", nil),
        ] as [(String, String?)]
    )
    func `the state directory is systemd's first, there or not`(_ given: String, _ folder: String?) throws {
        let read = try configuration(sound, environment: ["STATE_DIRECTORY": given])
        #expect(read.daemon.stateDirectory == folder)
    }

    @Test func `a state directory that the file names goes before systemd's`() throws {
        let text = sound + "\n[daemon]\nstate_directory = '/tmp'"
        let read = try configuration(text, environment: ["STATE_DIRECTORY": "/var/lib/a"])
        #expect(read.daemon.stateDirectory == "/tmp")
    }

    @Test func `a program is looked up in PATH`() throws {
        let text = sound.replacing("{ discard = true }", with: "{ command = ['true', 'a b'] }")
        let read = try configuration(text, environment: ["PATH": "/no/such/folder:/usr/bin"])
        #expect(read.queues.first?.handler == .command(["/usr/bin/true", "a b"]))
    }

    @Test func `the bound of a lease follows the call deadline`() {
        let database = Configuration.Database(url: Secret("x"))
        #expect(database.renewalJitter == .milliseconds(200))
        #expect(database.shortestVisibilityTimeout == .milliseconds(6600))
    }
}
