import Engine
import Postgres
import TestSupport
import Testing

/// Of one batch some leases are another's by now: these are told, and all others settled.
@Suite struct PartialRefusalTests {
    struct Batch: CustomTestStringConvertible {
        let testDescription: String
        let outcome: Outcome
        var atPlace = false
        var archives = false
        /// Read before, so that the journal knows of it.
        var again = false
    }

    static let batches = [
        Batch(testDescription: "done, by place", outcome: .done, atPlace: true),
        Batch(testDescription: "done, by place, to the archive", outcome: .done, atPlace: true, archives: true),
        Batch(testDescription: "done, by id", outcome: .done),
        Batch(testDescription: "done, by id, journaled", outcome: .done, again: true),
        Batch(testDescription: "done, by id, journaled, to the archive", outcome: .done, archives: true, again: true),
        Batch(testDescription: "dead letter", outcome: .deadLetter(reason: "no use")),
        Batch(testDescription: "retry", outcome: .retry(after: .seconds(1), reason: "not yet")),
        Batch(testDescription: "retry, journaled", outcome: .retry(after: .seconds(1), reason: "not yet"), again: true),
    ]

    @Test(arguments: batches) func `those that are another's are told, and the others settled`(
        batch: Batch
    ) async throws {
        let database = try await TestServer.common().database()
        try await database.createQueue("work")
        let ids = try await database.send("work", Array(repeating: "{}", count: 6))
        let port = Port(database, queue: "work", archives: batch.archives)
        if batch.again {
            #expect(try await port.claim().count == 6)
            try await database.sql("update pgmq.q_work set vt = now()")
        }
        let leases = try await port.claim()
        #expect(leases.count == 6)
        #expect(leases.allSatisfy { $0.delivery.isJournaled == batch.again && $0.place != nil })
        // In a page's middle, so that a place, an id and a number in the batch are three things.
        try await database.sql("delete from pgmq.q_work where msg_id = $1", [.int(ids[1])])
        try await database.sql("update pgmq.q_work set read_ct = read_ct + 1 where msg_id = $1", [.int(ids[4])])
        let held = Set([ids[0], ids[2], ids[3], ids[5]])
        let order = [5, 1, 0, 4, 2, 3].map { leases[$0] }
        #expect(try await port.settle(order, batch.outcome, atPlace: batch.atPlace) == held)

        let stays = batch.outcome.isKept ? held.union([ids[4]]) : [ids[4]]
        #expect(try await database.ids("pgmq.q_work") == stays)
        #expect(try await database.ids("pgmq.a_work") == (batch.archives ? held : []))
        let dead = try await database.ids("pgmq.q_work_dlq", "(headers->'x-pgmqd'->>'msg_id')::bigint")
        #expect(dead == (batch.outcome == .deadLetter(reason: "no use") ? held : []))
    }
}

extension Outcome {
    fileprivate var isKept: Bool {
        if case .retry = self { true } else { false }
    }
}

extension TestDatabase {
    fileprivate func ids(_ table: String, _ column: String = "msg_id") async throws -> Set<Int64> {
        let text = try await text("select string_agg((\(column))::text, ' ') from \(table)") ?? ""
        return Set(text.split(separator: " ").compactMap { Int64($0) })
    }
}
