import TestSupport
import Testing

/// A daemon that has done much holds no more than one that has done little.
@Suite(.serialized) struct FlatTests {
    @Test func `memory and open files are flat over 100,000 messages`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let backoff = [#"backoff = { first = "10ms", max = "10ms" }"#]
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", extra: backoff).text,
            program: "LedgerDaemon"
        )
        try await daemon.ready()
        func work(_ count: Int) async throws {
            // One in fifty fails once, so that the journal and the settling of others are part of it.
            try await database.sql(
                """
                select count(*) from pgmq.send_batch('work', array(
                    select case when n % 50 = 0 then '{"fail": 1}' else '{}' end::jsonb from generate_series(1, \(count)) n
                ))
                """
            )
            try await database.emptied("work")
        }
        try await work(20_000)
        let early = daemon.resources
        for _ in 0..<8 { try await work(10_000) }
        let late = daemon.resources
        #expect(try await daemon.stop() == 0)
        #expect(late.files <= early.files + 1, "\(early) \(late)")
        #expect(late.memory <= early.memory + 8 << 10, "\(early) \(late)")
        #expect(early.memory > 0)
        #expect(early.files > 0)
    }

    @Test func `a thousand commands leave no descriptor and no zombie`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let daemon = try DaemonProcess(
            Settings.patient(database, queue: "work", handler: "{ command = ['/bin/true'] }", workers: 4).text
        )
        try await daemon.ready()
        func work(_ count: Int) async throws {
            try await database.send("work", Array(repeating: "{}", count: count))
            try await database.emptied("work")
        }
        try await work(100)
        let early = daemon.resources
        try await work(1000)
        let late = daemon.resources
        let children = try await ProgramRun(["--ppid", "\(daemon.pid)", "-o", "stat="], program: "/bin/ps")
        #expect(children.lines == [])
        #expect(try await daemon.stop() == 0)
        #expect(late.files <= early.files + 1, "\(early) \(late)")
        #expect(late.memory <= early.memory + 8 << 10, "\(early) \(late)")
    }
}
