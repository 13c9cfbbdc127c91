import TestSupport
import Testing

/// The daemon beside PGMQ's own Python client: on the same queues, at the same time.
@Suite(.serialized) struct OtherClientTests {
    private static let reason: Comment = "the Python client that is installed reads last_read_at"

    @Test(.enabled(if: TestPGMQ.tested.hasLastReadAt, Self.reason))
    func `each message is handled by one side, and both sides have their share`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let python = PythonClient(database: database)
        let daemon = try await Workers.start(Settings.patient(database, queue: "work", workers: 4), ledger)
        let folder = try TestFolder()
        async let sending = python.run(
            """
            while not os.path.exists(sys.argv[1] + "/reading"): time.sleep(0.01)
            for n in range(300):
                print(queues.send("work", {"sleep": 0.005, "n": n}))
            for n in range(60):
                bodies = [{"sleep": 0.005, "n": n, "k": k} for k in range(20)]
                headers = [{"from": "python", "k": k} for k in range(20)]
                for id in queues.send_batch("work", bodies, headers if n % 2 else None):
                    print(id)
            open(sys.argv[1] + "/sent", "w").close()
            """,
            [folder.path]
        )
        async let reading = python.run(
            """
            open(sys.argv[1] + "/reading", "w").close()
            while True:
                last = os.path.exists(sys.argv[1] + "/sent")
                taken = queues.read_batch("work", vt=30, batch_size=10)
                for message in taken:
                    assert message.message["sleep"] == 0.005 and message.read_ct == 1, message
                    print(message.msg_id)
                    assert queues.delete("work", message.msg_id)
                if not taken:
                    if last and queues.metrics("work").queue_length == 0: break
                    time.sleep(0.01)
            """,
            [folder.path]
        )
        let sent = try await sending.compactMap { Int64($0) }
        let theirs = try await reading.compactMap { Int64($0) }
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let ours = ledger.history()
        #expect(sent.count == 1500)
        #expect((theirs + ours.map(\.id)).sorted() == sent.sorted())
        #expect(!theirs.isEmpty)
        #expect(!ours.isEmpty)
        #expect(ours.allSatisfy { $0.readCount == 1 && $0.verdict == "done" })
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test(.enabled(if: TestPGMQ.tested.hasLastReadAt, Self.reason))
    func `what one side holds the other does not see`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let python = PythonClient(database: database)
        let ids = try await python.run(
            """
            print(queues.send("work", {"n": 1}))
            print(queues.read("work", vt=3600).msg_id)
            print(queues.send("work", {"n": 2, "gated": 1}))
            print(queues.send("work", {"n": 3}, delay=3600))
            """
        ).compactMap { Int64($0) }
        try #require(ids.count == 4)
        let (held, slow, delayed) = (ids[1], ids[2], ids[3])
        let settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "10m",
            callDeadline: "15s",
            extra: ["on_success = \"archive\""]
        )
        let daemon = try await Workers.start(settings, ledger)
        try await eventually("the one that is free runs") { ledger.starts.map(\.id) == [slow] }
        let seen = try await python.run(
            """
            print(queues.read("work", vt=1))
            print(queues.metrics("work").queue_length)
            """
        )
        #expect(seen == ["None", "3"])
        ledger.openGate()
        // What the other side lets go is free.
        _ = try await python.run(
            """
            for id in sys.argv[1:]:
                queues.set_vt("work", int(id), 0)
            """,
            ["\(delayed)", "\(held)"]
        )
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
        let history = ledger.history()
        #expect(history.map(\.id).sorted() == [held, slow, delayed])
        // Another client's delivery counts as one, and as no attempt.
        #expect(history.allSatisfy { $0.readCount == ($0.id == held ? 2 : 1) })
        #expect(history.map(\.attempt) == [1, 1, 1])
        #expect(try await database.int("select count(*) from pgmq.a_work") == 3)
    }

    @Test func `a daemon that sleeps hears what Python sends`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let settings = Settings(database, queue: "work", extra: ["poll_interval = \"1h\""])
        let daemon = try await Workers.start(settings, ledger)
        try await eventually("it sleeps") {
            try await database.int(
                """
                select count(*) from pg_locks l join pg_database d on d.oid = l.database
                where d.datname = current_database() and l.locktype = 'advisory' and l.mode = 'ShareLock'
                """
            ) == 1
        }
        _ = try await PythonClient(database: database).run(#"queues.send("work", {})"#)
        try await database.emptied("work")
        #expect(try await daemon.stop() == 0)
    }
}
