import Engine
import Foundation
import PGMQ
import Postgres
import Synchronization
import TestSupport
import Testing

/// Whoever may create in a schema of the search_path puts functions, operators, types and views there that fit our
/// statements better than PostgreSQL's own. A daemon's role or a superuser would call them.
@Suite(.serialized) struct TrojanTests {
    /// The second names `public` first: there even what fits as well comes before PostgreSQL's own.
    @Test(arguments: [#""$user", public"#, "public, pg_catalog"])
    func `no daemon and no command calls what a stranger has put into public`(path: String) async throws {
        let database = try await TestServer.common().database()
        try await database.sql("drop schema pgmqd cascade")
        for queue in ["work", "kept"] { try await database.createQueue(queue, bell: false) }
        let trojans = Trojans(database: database)
        try await trojans.plant(path: path)
        #expect(try await trojans.catches("select hashtextextended('x', 0)", as: "hashtextextended"))
        #expect(try await trojans.catches("select 5::bigint * interval '1 second'", as: "operator *"))

        let ledger = Ledger()
        defer { ledger.remove() }
        let retries = [#"backoff = { first = "10ms" }"#, "max_attempts = 2"]
        var settings = Settings(
            database,
            queue: "work",
            visibilityTimeout: "12s",
            callDeadline: "3s",
            extra: retries
        )
        settings.add(queue: "kept", visibilityTimeout: "12s", extra: retries + [#"on_success = "archive""#])
        settings.add(queue: "fresh", visibilityTimeout: "12s")
        settings.daemon.append("shutdown_grace = \"1s\"")
        let folder = try TestFolder()
        let file = try folder.write("pgmqd.toml", settings.text)
        try await command(["migrate", "-c", file, "--create-queues"])
        try await command(["check", "--connect", "-c", file])
        try await work(database, settings, ledger, file)

        let letter = try await database.int("select pg_catalog.min(msg_id) from pgmq.q_work_dlq")
        for arguments in [
            ["queues", "-c", file], ["peek", "-c", file, "work_dlq"], ["dlq", "list", "-c", file, "work"],
            ["dlq", "show", "-c", file, "work", "\(letter)"], ["grants", "-c", file],
            ["grants", "--operator", "--role", "somebody", "-c", file], ["migrate", "-c", file],
        ] {
            try await command(arguments)
        }
        let victims = try await trojans.victims()
        #expect(victims == [])
    }

    private func command(_ arguments: [String]) async throws {
        let run = try await ProgramRun(arguments)
        #expect(run.code == 0, "\(arguments): \(run.errors)")
    }

    /// All that can become of a message.
    private func work(
        _ database: TestDatabase,
        _ settings: Settings,
        _ ledger: Ledger,
        _ file: String
    ) async throws {
        // Its process died twice with it: a suspect.
        try await database.sql("insert into pgmq.q_work (vt, read_ct, message) values ('infinity', 2, '{}')")
        try await database.sql(
            """
            insert into pgmqd.journal (queue, msg_id, enqueued_at, read_ct, daemon, host, version)
            select 'work', q.msg_id, q.enqueued_at, n, 'gone', 'h', 'v'
            from pgmq.q_work q, pg_catalog.generate_series(1, 2) n
            """
        )
        try await database.sql("update pgmq.q_work set vt = pg_catalog.now()")
        let daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await daemon.ready()
        try await eventually("the suspect is done") { try await rows(database, "q_work") == 0 }
        let asleep = """
            select pg_catalog.count(*) from pg_catalog.pg_locks l join pg_catalog.pg_database d
            on d.oid operator(pg_catalog.=) l.database
            where d.datname operator(pg_catalog.=) pg_catalog.current_database()
                and l.locktype operator(pg_catalog.=) 'advisory' and l.granted
            """
        try await eventually("all three queues sleep") { try await database.int(asleep) == 3 }
        // Their senders ring.
        try await command(["send", "-c", file, "work", "{}"])
        try await command(["send", "-c", file, "--headers", #"{"a":1}"#, "--delay", "0.1", "kept", "{}"])
        for queue in ["work", "kept"] {
            try await database.send(queue, Array(repeating: "{}", count: 100))
            // The last is renewed.
            try await database.send(
                queue,
                [#"{"fail":1}"#, #"{"fail":-1}"#, #"{"deadLetter":"no use"}"#, #"{"snooze":0.1}"#, #"{"sleep":5}"#]
            )
        }
        try await eventually("all are settled") {
            let left = try await [rows(database, "q_work"), rows(database, "q_kept")]
            return left == [0, 0]
        }
        try await database.send("work", [#"{"gated":1}"#])
        try await eventually("one runs") { ledger.running.count == 1 }
        // Which is handed back.
        #expect(try await daemon.stop() == 0)
        #expect(try await rows(database, "q_work") == 1)
        #expect(try await rows(database, "q_work_dlq") == 2)
        #expect(try await rows(database, "a_kept") == 104)
    }

    private func rows(_ database: TestDatabase, _ table: String) async throws -> Int {
        try await database.int("select pg_catalog.count(*) from pgmq.\(table)")
    }

    // MARK: - All statements

    @Test func `every statement and function of ours names the schema of all it uses`() async throws {
        let server = try await TestServer.common()
        let database = try await server.database()
        try await database.sql("drop schema pgmqd cascade")
        for queue in ["work", "work_dlq"] { try await database.sql("select pgmq.create($1)", [.text(queue)]) }
        let proxy = try PostgresProxy(to: server)
        defer { proxy.close() }
        let seen = Mutex<Set<String>>([])
        proxy.onPipeline { text in
            seen.withLock { _ = $0.insert(text) }
            return .pass
        }
        let url = proxy.url(database)
        try await sendCommands(url)
        try await partition(database)
        for queue in ["work", "fresh", "parts"] {
            try await askAll(of: Port(database, url: url, queue: queue, archives: queue == "fresh"), queue, database)
        }

        var texts = seen.withLock { $0.sorted() }
        for mark in [
            "former_vt", "for update of q skip locked", "'x-pgmqd'", "'lost'", "'phantom'", "limit 1000", "pg_locks",
            "pgmqd.hang_doorbell($1)", "pgmqd.ring($1)", "pg_advisory_lock_shared", "notify",
        ] {
            #expect(texts.contains { $0.contains(mark) }, "\(mark): not a statement of this test")
        }
        let sources = try await database.sql(
            "select prosrc from pg_catalog.pg_proc where pronamespace = 'pgmqd'::pg_catalog.regnamespace"
        )
        texts += (0..<sources.count).compactMap { sources.text($0, 0) }
        #expect(sources.count == 4)
        var functions: Set<String> = []
        for text in texts {
            // Behind this call only PostgreSQL's own names are found, so operators need no schema. An old migration
            // qualifies nothing else either.
            let parts = text.components(separatedBy: "set_config('search_path'")
            let scanned = parts.count > 1 && text.hasPrefix("do $pgmqd$") ? parts[0] : text
            #expect(NameScanner(scanned).names == [], "\(scanned)")
            #expect(NameScanner(parts[0]).operators == [], "\(parts[0])")
            functions.formUnion(NameScanner(scanned).qualifiedFunctions)
        }
        #expect(
            functions.subtracting(Trojans.functions).subtracting(Trojans.others) == [],
            "no trojan is planted for it"
        )
    }

    /// Each command sends its statements through the proxy once.
    private func sendCommands(_ url: String) async throws {
        var settings = Settings(url: url)
        settings.add(queue: "work", handler: "{ discard = true }")
        settings.add(queue: "fresh", handler: "{ discard = true }")
        let folder = try TestFolder()
        let file = try folder.write("pgmqd.toml", settings.text)
        for arguments in [
            ["migrate", "-c", file, "--create-queues"], ["check", "--connect", "-c", file], ["queues", "-c", file],
            ["send", "-c", file, "work", "{}"], ["send", "-c", file, "--headers", "{}", "work", "{}"],
            ["peek", "-c", file, "work"], ["dlq", "list", "-c", file, "work"], ["grants", "-c", file],
            ["grants", "--operator", "--role", "somebody", "-c", file],
        ] {
            try await command(arguments)
        }
    }

    /// As PGMQ partitions, with one partition.
    private func partition(_ database: TestDatabase) async throws {
        for statement in [
            "create table pgmq.q_parts (like pgmq.q_work including all excluding identity) partition by range (msg_id)",
            "create table pgmq.q_parts_default partition of pgmq.q_parts default",
            "select pgmq.create('parts_dlq')",
        ] {
            try await database.sql(statement)
        }
    }

    private func askAll(of port: Port, _ queue: String, _ database: TestDatabase) async throws {
        let table = "pgmq.q_\(queue)"
        try await database.sql("delete from \(table)")
        // Half of them were read before.
        try await database.sql(
            """
            insert into \(table) (msg_id, vt, read_ct, message) overriding system value
            select 1000 + n, now(), n % 2, '{"n":1}' from generate_series(1, 20) n
            """
        )
        let leases = try await port.claim(20)
        try #require(leases.count == 20)
        let fences = leases.map(\.fence)
        #expect(try await port.renew(leases) == Array(repeating: .renewed, count: 20))
        _ = try await port.queue.read(fences[0])
        _ = try await port.queue.exchange(Exchange(lost: [leases[0].delivery], begins: leases[1].delivery))
        try await port.queue.closePhantoms(holding: leases.map(\.delivery))
        let attempt = Attempt(number: 1, kind: .failed, duration: .seconds(1), reason: "x")
        let outcomes: [Outcome] = [
            .retry(after: .seconds(1), reason: "x"), .snooze(.seconds(1)), .released(after: .zero),
            .condemned(reason: "x", after: .zero), .deadLetter(reason: "x"),
        ]
        for (outcome, lease) in zip(outcomes, leases) {
            _ = try await port.queue.exchange(
                Exchange(settlements: [Settlement(delivery: lease.delivery, outcome: outcome, attempt: attempt)])
            )
        }
        _ = try await port.settle(Array(leases[5...]), .done, atPlace: true)
        _ = try await port.settle(leases, .done)
        for reach in [Claim.Reach.floor, .below(.seconds(1)), .recent] {
            _ = try await port.queue.exchange(Exchange(claim: Claim(limit: 1, reach: reach, floor: nil)))
        }
        _ = try await port.queue.probe(besides: true, passingOver: [1])
        try await port.queue.prune()
        // When LISTEN was proven to deliver.
        if queue == "work" {
            try await eventually("it may sleep") { try await port.queue.fallAsleep() }
            try await port.queue.wakeUp()
        }
    }

    @Test func `the scanner finds a name without its schema`() {
        let flawed = """
            with a as (select pg_catalog.count(*) from pgmq.q_work) -- count(*)
            select count(*), 'count(*)', x::text, y operator(pg_catalog.=) 1, unnest($1) from a join pg_class c on z = -1
            """
        #expect(NameScanner(flawed).names == ["count(", "::text", "unnest(", "from pg_class"])
        #expect(NameScanner(flawed).operators == ["="])
        let sound =
            "update pgmq.q_work set vt = $1::bigint from unnest($1, $2) as l(a, b) where (a operator(pg_catalog.<>) -1)"
        #expect(NameScanner(sound).names.isEmpty && NameScanner(sound).operators.isEmpty)
        #expect(NameScanner("select $1 in (1, 2), nullif(a, 1), a - 1").operators == ["in", "nullif", "-"])
    }
}
