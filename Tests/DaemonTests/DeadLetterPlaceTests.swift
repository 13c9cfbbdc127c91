import TestSupport
import Testing

/// Where `pgmqd dlq` looks for a queue's dead letters.
@Suite struct DeadLetterPlaceTests {
    /// `orders` has live messages; its dead letters go to `failed`, which is worked itself.
    private func prepare() async throws -> (TestDatabase, TestFolder, file: String) {
        let database = try await TestServer.common().database()
        for queue in ["orders", "failed", "failed_for_good"] {
            try await database.sql("select pgmq.create('\(queue)')")
            try await database.send(queue, ["\"in \(queue)\""])
        }
        var settings = Settings(
            database,
            queue: "Orders",
            handler: "{ discard = true }",
            extra: ["dead_letter = \"failed\""]
        )
        settings.add(queue: "failed", handler: "{ discard = true }", extra: ["dead_letter = \"failed_for_good\""])
        let folder = try TestFolder()
        return (database, folder, try folder.write("pgmqd.toml", settings.text))
    }

    @Test func `the configuration says where`() async throws {
        let (database, folder, file) = try await prepare()
        func shown(_ arguments: String...) async throws -> String {
            let run = try await ProgramRun(["dlq", "show"] + arguments + ["-c", file])
            #expect(run.code == 0, "\(run.errors)")
            return run.lines.last ?? ""
        }
        #expect(try await shown("orders", "1").hasSuffix("\"in failed\""))
        #expect(try await shown("ORDERS", "1").hasSuffix("\"in failed\""))
        #expect(try await shown("failed", "1").hasSuffix("\"in failed_for_good\""))
        #expect(try await shown("failed", "1", "--itself").hasSuffix("\"in failed\""))
        #expect(try await shown("failed_for_good", "1").hasSuffix("\"in failed_for_good\""))
        // Also where the connection is another's.
        #expect(try await shown("orders", "1", "--database", database.url).hasSuffix("\"in failed\""))
        let missing = try await ProgramRun(["dlq", "show", "orders", "99", "-c", file])
        #expect(missing.code == 1)
        #expect(missing.errors == "no message 99 in the dead-letter queue failed\n")
        #expect(folder.names == ["pgmqd.toml"])
    }

    @Test func `without one, live messages are never shown as dead letters`() async throws {
        let (database, _, _) = try await prepare()
        let refused = try await ProgramRun(["dlq", "list", "orders", "--database", database.url])
        #expect(refused.code == 1)
        #expect(refused.text == "")
        for text in ["orders_dlq", "-c", "--itself"] { #expect(refused.errors.contains(text), "\(text)") }
        let itself = try await ProgramRun(["dlq", "list", "failed", "--itself", "--database", database.url])
        #expect(itself.code == 0)
        #expect(itself.lines.count == 2)
    }
}
