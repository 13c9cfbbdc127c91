import Postgres
import TestSupport
import Testing

/// Rows that no claim can take, or whose bodies no server can print, among healthy messages.
@Suite(.serialized) struct UnclaimableRowTests {
    @Test func `one row for each reason that no claim can take it is found, named and dead-lettered`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        var healthy: [Int64] = []
        var bad: [String: Int64] = [:]
        for kind in ["read_ct", "check", "raise", "swallow", "toast"] {
            healthy += try await database.send("work", Array(repeating: "{}", count: 5))
            // More than a page keeps, and of a kind that is not compressed.
            let pad = kind == "toast" ? try await database.noise() : ""
            bad[kind] = try await database.send("work", [#"{"bad": "\#(kind)", "pad": "\#(pad)"}"#])[0]
        }
        try await database.sql("update pgmq.q_work set read_ct = 2147483647 where message->>'bad' = 'read_ct'")
        try await database.sql(
            "alter table pgmq.q_work add check (message->>'bad' is distinct from 'check') not valid"
        )
        try await database.trigger(
            before: "update",
            """
            if new.message->>'bad' = 'raise' then raise exception 'not this one'; end if;
            if new.message->>'bad' = 'swallow' then return null; end if;
            return new;
            """
        )
        let isDamaged = try await database.loseLargeBodies("work")
        if !isDamaged, let id = bad.removeValue(forKey: "toast") {
            try await database.sql("delete from pgmq.q_work where msg_id = $1", [.int(id)])
        }
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(.patient(database, queue: "work"), ledger)
        try await eventually("the healthy ones are done") { try await database.count("work") <= bad.count }
        // Those that can be dead-lettered are struck out again then.
        var named: [Int64: String] = [:]
        try await eventually("each is named") {
            for mark in try await database.marks() { named[mark.id] = mark.reason }
            return named.count == bad.count
        }
        #expect(Set(named.keys) == Set(bad.values))
        #expect(named[bad["raise"] ?? 0]?.contains("not this one") == true)
        for id in bad.values { #expect(daemon.log.contains(line: "row passed over", #""msg_id":"\#(id)""#)) }
        healthy += try await database.send("work", Array(repeating: "{}", count: 5))
        try await eventually("what came later is done") { ledger.ends.count >= healthy.count }

        let copied = bad.filter { $0.key != "toast" }
        try await eventually("those that can be copied are dead letters") {
            try await database.count("work_dlq") == copied.count
        }
        let letters = try await database.letters("work")
        for (kind, id) in copied {
            let letter = letters.first { $0.id == id }
            #expect(letter?.bad == kind)
            #expect(letter?.reason.hasPrefix("unclaimable: ") == true, "\(letter?.reason ?? "none")")
        }
        if isDamaged {
            try await daemon.logged("it can be neither claimed nor dead-lettered")
        }
        try await eventually("nothing but the damaged row is left, and named") {
            let (left, marks) = try await (database.count("work"), database.marks())
            return left == bad.count - copied.count && marks.map(\.id) == [bad["toast"]].compactMap { $0 }
        }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: healthy.map { ($0, 1) }))
        #expect(!daemon.log.contains("queue paused"))
    }

    /// Of few rows each is passed over; of many the queue pauses.
    @Test(arguments: [8, 25])
    func `a trigger that raises for every row for a moment condemns none`(count: Int) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        try await database.trigger(before: "update", "raise exception 'not now';")
        let ids = try await database.send("work", Array(repeating: "{}", count: count))
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(.patient(database, queue: "work", workers: 50), ledger)
        if count == 8 {
            try await eventually("each is named") { try await database.marks().count == count }
            #expect(!daemon.log.contains("queue paused"))
        } else {
            try await daemon.logged("queue paused")
            #expect(!daemon.log.contains("row passed over"))
        }
        #expect(daemon.log.contains("not now"))
        try await database.sql("drop trigger guard on pgmq.q_work")
        try await eventually("all are done") { try await database.count("work") == 0 }
        try await eventually("none is named any more") { try await database.marks().isEmpty }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
        #expect(try await database.count("work_dlq") == 0)
    }

    @Test func `a message whose read_ct reaches its end is dead-lettered without a run`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ids = try await database.send("work", ["{}", "{}"])
        try await database.sql(
            "insert into pgmq.q_work (vt, message, read_ct) values (clock_timestamp(), '{}', 2147483646)"
        )
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(.patient(database, queue: "work"), ledger)
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await daemon.stop() == 0)
        let letters = try await database.letters("work")
        #expect(letters.count == 1)
        #expect(letters.first?.reason.hasPrefix("read_ct_exhausted") == true)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ids.map { ($0, 1) }))
    }

    @Test func `a large message that is claimed and cannot be read spends its attempts and holds up none`() async throws
    {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        var settings = Settings.patient(
            database,
            queue: "work",
            workers: 4,
            extra: [#"backoff = { first = "10ms", max = "10ms" }"#, "max_attempts = 2"]
        )
        settings.daemon.append("max_inflight_bytes = \"1MiB\"")
        // More than a claim brings along: it is read when there is room for all of it, which the first one takes.
        let noise = try await database.noise(kilobytes: 600)
        let bodies = [#"{"gated": 1, "pad": "\#(noise)"}"#, #"{"bad": "toast", "pad": "\#(noise)"}"#]
        let daemon = try await start(settings, ledger)
        let first = try await database.send("work", [bodies[0]])[0]
        try await eventually("the first runs") { ledger.starts.count == 1 }
        let bad = try await database.send("work", [bodies[1]])[0]
        try await eventually("the other is claimed") {
            try await database.int("select read_ct from pgmq.q_work where msg_id = \(bad)") == 1
        }
        guard try await database.loseLargeBodies("work") else { return }
        let healthy = try await database.send("work", Array(repeating: "{}", count: 20))
        ledger.openGate()
        try await eventually("the others are done") { ledger.ends.count >= 21 }
        try await eventually("the failure is recorded") {
            try await database.int(
                "select count(*) from pgmqd.journal where attempt = 1 and reason like 'unreadable: %'"
            ) == 1
        }
        // Its next delivery would need the body's size, which cannot be had, either.
        try await daemon.logged("row passed over")
        try await eventually("it is named") { try await database.marks().map(\.id).contains(bad) }
        let later = try await database.send("work", Array(repeating: "{}", count: 5))
        try await eventually("what came later is done") { ledger.ends.count >= 26 }
        try await eventually("it is left where it is") { try await database.count("work") == 1 }
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs == Dictionary(uniqueKeysWithValues: ([first] + healthy + later).map { ($0, 1) }))
        #expect(!daemon.log.contains("queue paused"))
    }

    /// Each takes far more as text than it does in its row.
    @Test(arguments: [
        "select jsonb_build_object('bad', repeat(chr(1), 50000000))",
        "select jsonb_build_object('bad', array_agg(('1e131000')::numeric)) from generate_series(1, 100)",
    ])
    func `a body that is a burden only as text is dead-lettered, and no connection dies of it`(
        body: String
    ) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ledger = Ledger()
        defer { ledger.remove() }
        let daemon = try await start(.patient(database, queue: "work"), ledger)
        try await eventually("all connections stand") { try await database.backends() == 4 }
        let backends = try await database.backendIDs()
        // In one transaction, so that one claim finds them all.
        try await database.sql(
            """
            with n as (select pgmq.send('work', '{}') from generate_series(1, 3)),
            huge as (select pgmq.send('work', (\(body)))),
            m as (select pgmq.send('work', '{}') from generate_series(1, 4))
            select (select count(*) from n), (select count(*) from huge), (select count(*) from m)
            """
        )
        try await eventually("all are settled") { try await database.count("work") == 0 }
        #expect(try await database.backendIDs() == backends)
        #expect(try await daemon.stop() == 0)
        #expect(ledger.runs.count == 7)
        #expect(ledger.runs.values.allSatisfy { $0 == 1 })
        #expect(try await database.count("work_dlq") == 1)
        let reason = try await database.text("select headers->'x-pgmqd'->>'reason' from pgmq.q_work_dlq")
        #expect(reason?.hasPrefix("too_large: ") == true, "\(reason ?? "none")")
        for word in ["connection lost", "queue paused", "row passed over"] { #expect(!daemon.log.contains(word)) }
    }

    private func start(_ settings: Settings, _ ledger: Ledger) async throws -> DaemonProcess {
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        return daemon
    }
}

extension TestDatabase {
    /// A trigger `guard` for each row of the queue `work`.
    func trigger(before event: String, _ body: String) async throws {
        try await sql("create function guard() returns trigger language plpgsql as $f$ begin \(body) end $f$")
        try await sql("create trigger guard before \(event) on pgmq.q_work for each row execute function guard()")
    }

    /// A text that no compression makes shorter.
    fileprivate func noise(kilobytes: Int = 8) async throws -> String {
        try await text(
            "select string_agg(md5(i || random()::text), '') from generate_series(1, \(kilobytes * 32)) as i"
        ) ?? ""
    }

    /// What the table keeps beside its rows is gone, as after a fault of the disk.
    ///
    /// - Returns: false where this server has no means for it.
    fileprivate func loseLargeBodies(_ queue: String) async throws -> Bool {
        guard try await int("select count(*) from pg_available_extensions where name = 'pg_surgery'") == 1 else {
            return false
        }
        try await sql("create extension if not exists pg_surgery")
        try await sql(
            """
            do $$ declare t regclass; begin
                select reltoastrelid into t from pg_class where oid = 'pgmq.q_\(queue)'::regclass;
                execute format('select heap_force_kill(%L, array(select ctid from %s))', t, t);
            end $$
            """
        )
        return true
    }

    /// The rows that are named because no claim can take them.
    fileprivate func marks() async throws -> [(id: Int64, reason: String)] {
        let rows = try await sql(
            "select msg_id, reason from pgmqd.journal where outcome = 'unclaimable' and read_ct = -1 order by msg_id"
        )
        return (0..<rows.count).map { (rows.int($0, 0), rows.text($0, 1) ?? "") }
    }

    fileprivate func letters(_ queue: String) async throws -> [(id: Int64, bad: String?, reason: String)] {
        let rows = try await sql(
            """
            select (headers->'x-pgmqd'->>'msg_id')::bigint, message->>'bad', headers->'x-pgmqd'->>'reason'
            from pgmq.q_\(queue)_dlq
            """
        )
        return (0..<rows.count).map { (rows.int($0, 0), rows.text($0, 1), rows.text($0, 2) ?? "") }
    }

    fileprivate func backendIDs() async throws -> String? {
        try await text(
            """
            select string_agg(pid::text, ' ' order by pid) from pg_stat_activity
            where datname = $1 and application_name like 'pgmqd %'
            """,
            [.text(name)]
        )
    }
}

extension String {
    /// Whether one line has all of these.
    func contains(line parts: String...) -> Bool {
        split(separator: "\n").contains { line in parts.allSatisfy { line.contains($0) } }
    }

    func count(lines text: String) -> Int { split(separator: "\n").count { $0.contains(text) } }
}
