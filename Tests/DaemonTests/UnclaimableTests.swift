import Foundation
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// Rows that no claim can take, and bodies that cannot be read, as `pgmqd queues` and `pgmqd peek` show them.
@Suite struct UnclaimableTests {
    private struct Summary: Decodable {
        struct Row: Decodable {
            let id: Int64
            let reason: String
        }

        let queue: String
        let visible: Int
        let invisible: Int
        let leased: Int?
        let waiting: Int?
        let total: Int
        let unclaimable: Int?
        let unclaimableRows: [Row]?
        let oldestClaimableSeconds: Double?
    }

    private struct Message: Decodable {
        let id: Int64
        let body: String?
        let unclaimable: String?
        let unreadable: String?
    }

    private func summary(_ url: String, _ queue: String) async throws -> Summary {
        let run = try await ProgramRun(["queues", "--json", "--database", url])
        #expect(run.code == 0, "\(run.errors)")
        return try #require(JSONDecoder().decode([Summary].self, from: run.data).first { $0.queue == queue })
    }

    private func peek(_ database: TestDatabase, _ queue: String) async throws -> [Message] {
        let run = try await ProgramRun(["peek", "--json", "--database", database.url, queue])
        #expect(run.code == 0, "\(run.errors)")
        return try JSONDecoder().decode([Message].self, from: run.data)
    }

    /// A trigger refuses every update of one row, and a daemon has passed that row over.
    private func passOver(_ database: TestDatabase) async throws -> Int64 {
        try await database.createQueue("work")
        try await database.sql(
            "create function public.refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$"
        )
        try await database.sql(
            """
            create trigger refuse before update on pgmq.q_work for each row when (old.message = '"bad"')
            execute function public.refuse()
            """
        )
        let id = try await database.int(
            """
            insert into pgmq.q_work (vt, message) values (clock_timestamp() - interval '1 hour', '"bad"') returning msg_id
            """
        )
        try await database.send("work", ["1", "2"])
        let daemon = try DaemonProcess(Settings.patient(database, queue: "work", handler: "{ discard = true }").text)
        try await eventually("the others are done, and the row is noted") {
            let left = try await database.count("work")
            let noted = try await database.int(
                "select count(*) from pgmqd.journal where outcome = 'unclaimable' and msg_id = \(id)"
            )
            return (left, noted) == (1, 1)
        }
        #expect(try await daemon.stop() == 0)
        return Int64(id)
    }

    @Test func `a row that no claim can take is named, and is not the oldest claimable one`() async throws {
        let database = try await TestServer.common().database()
        let id = try await passOver(database)
        let waiting = try await database.send("work", ["3"], delay: .seconds(3600))
        let sent = try await database.send("work", ["4", "5"])
        let takesLease = TestPGMQ.tested.hasLastReadAt ? ", last_read_at = now()" : ""
        try await database.sql(
            "update pgmq.q_work set vt = now() + interval '1 hour'\(takesLease) where msg_id = \(sent[1])"
        )

        let work = try await summary(database.url, "work")
        #expect((work.visible, work.invisible, work.total) == (2, 2, 4))
        #expect(work.leased == (TestPGMQ.tested.hasLastReadAt ? 1 : nil))
        #expect(work.waiting == (TestPGMQ.tested.hasLastReadAt ? 1 : nil))
        #expect(work.unclaimable == 1)
        #expect(work.unclaimableRows?.map(\.id) == [id])
        #expect(work.unclaimableRows?.first?.reason.contains("not this one") == true)
        #expect(work.oldestClaimableSeconds.map { $0 < 1800 } == true)
        let table = try await ProgramRun(["queues", "--database", database.url])
        #expect(table.code == 0)
        #expect(table.lines.first?.contains("UNCLAIMABLE") == true)
        #expect(table.lines.last?.hasPrefix("work: no claim can take row \(id): ") == true)

        let messages = try await peek(database, "work")
        #expect(messages.map(\.id).sorted() == ([id] + waiting + sent).sorted())
        #expect(messages.filter { $0.unclaimable != nil }.map(\.id) == [id])
        #expect(messages.first?.unclaimable?.contains("not this one") == true)
        let shown = try await ProgramRun(["peek", "--database", database.url, "work"])
        #expect(shown.lines.first?.hasSuffix("UNCLAIMABLE") == true)
    }

    @Test func `a role that may not read the journal sees the rest`() async throws {
        let database = try await TestServer.common().database()
        let id = try await passOver(database)
        let reader = "reader_\(database.name)"
        try await database.sql("create role \(reader) login")
        try await database.sql("grant usage on schema pgmq to \(reader)")
        try await database.sql("grant select on all tables in schema pgmq to \(reader)")
        let url = database.url.replacing("user=postgres", with: "user=\(reader)")
        let work = try await summary(url, "work")
        #expect(work.unclaimable == nil)
        #expect(work.total == 1)
        let table = try await ProgramRun(["queues", "--database", url])
        #expect(table.lines.first?.contains("UNCLAIMABLE") == false)
        let run = try await ProgramRun(["peek", "--json", "--database", url, "work"])
        let messages = try JSONDecoder().decode([Message].self, from: run.data)
        #expect(messages.map(\.id) == [id])
        #expect(messages.first?.unclaimable == nil)
    }

    @Test func `a body whose chunks are lost hides no other message`() async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        try await database.sql("create extension pg_surgery")
        try await database.send("work", ["1"])
        let lost = try await database.int(
            """
            insert into pgmq.q_work (vt, message) select now(), to_jsonb(string_agg(md5(n::text), ''))
            from generate_series(1, 1000) n returning msg_id
            """
        )
        try await database.send("work", ["3"])
        try await database.sql(
            """
            do $$
            declare
                toast regclass := (select reltoastrelid from pg_class where oid = 'pgmq.q_work'::regclass);
                places tid[];
            begin
                execute format('select array_agg(ctid) from %s', toast) into places;
                perform heap_force_kill(toast, places);
            end $$
            """
        )
        let messages = try await peek(database, "work")
        #expect(messages.map(\.body) == ["1", nil, "3"])
        #expect(messages[1].id == Int64(lost))
        #expect(messages[1].unreadable?.contains("missing chunk") == true)
        #expect(messages.filter { $0.unreadable != nil }.count == 1)
        let table = try await ProgramRun(["peek", "--database", database.url, "work"])
        #expect(table.code == 0)
        #expect(table.text.contains("(cannot be read: missing chunk"))
        #expect(table.lines.count == 4)
    }
}
