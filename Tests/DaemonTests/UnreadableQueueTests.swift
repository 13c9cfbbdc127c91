import Foundation
import PGMQWorker
import Postgres
import TestSupport
import Testing

/// `pgmqd queues`, where not every queue can be read.
@Suite struct UnreadableQueueTests {
    private struct Summary: Decodable {
        let queue: String
        let total: Int?
        let error: String?
    }

    @Test func `a queue that is locked or not permitted has its reason, and the others are counted`() async throws {
        let database = try await TestServer.common().database()
        for queue in ["closed", "locked", "open"] {
            try await database.sql("select pgmq.create($1)", [.text(queue)])
            try await database.send(queue, ["1", "2"])
        }
        let reader = "reader_\(database.name)"
        try await database.sql("create role \(reader) login")
        let folder = try TestFolder()
        let file = try folder.write("pgmqd.toml", Settings(database, queue: "open", handler: "{ discard = true }").text)
        let grants = try await ProgramRun(["grants", "--operator", "--role", reader, "-c", file])
        try await database.server.postgres.psql(grants.text, database: database.name)
        try await database.sql("revoke select on pgmq.q_closed from \(reader)")
        let url = database.url.replacing("user=postgres", with: "user=\(reader)")

        let (json, table) = try await database.connected { connection in
            _ = try await connection.run(
                [Statement("begin"), Statement("lock table pgmq.q_locked in access exclusive mode")],
                deadline: .seconds(10)
            )
            return try await (
                ProgramRun(["queues", "--json", "--database", url]), ProgramRun(["queues", "--database", url])
            )
        }
        #expect(json.code == 1)
        #expect(json.errors == "2 of 3 queues could not be read\n")
        let queues = try JSONDecoder().decode([Summary].self, from: json.data)
        #expect(queues.map(\.queue) == ["closed", "locked", "open"])
        #expect(queues.map(\.total) == [nil, nil, 2])
        #expect(queues[0].error?.contains("permission denied for table q_closed") == true)
        #expect(queues[1].error?.contains("locked by another session") == true)
        #expect(queues[2].error == nil)
        #expect(table.code == 1)
        #expect(table.lines.count == 4)
        #expect(table.lines.first?.hasSuffix("ERROR") == true)
        #expect(table.lines.last?.contains("q_closed") == false)
    }
}
