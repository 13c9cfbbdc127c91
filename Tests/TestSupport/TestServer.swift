import Foundation
import PGMQ
import PGMQWorker
import Postgres
import Synchronization

/// A real PostgreSQL with real PGMQ, in a temporary folder on a Unix socket of its own. It ends with this process.
public final class TestServer: Sendable {
    public let postgres: EmbeddedPostgres
    private static let shared = Mutex<[TestPGMQ: Task<TestServer, any Error>]>([:])
    private let lastMade: Mutex<Task<Void, any Error>?> = Mutex(nil)

    /// One for all tests of this process that do not harm it.
    public static func common(_ pgmq: TestPGMQ = .tested) async throws -> TestServer {
        let task = shared.withLock { shared in
            if let task = shared[pgmq] { return task }
            let task = Task { try await TestServer(pgmq: pgmq) }
            shared[pgmq] = task
            return task
        }
        return try await task.value
    }

    /// One of the caller's own, to be stopped, killed and restarted; the caller calls ``remove()``.
    public init(
        pgmq: TestPGMQ = .tested,
        settings: [String: String] = [:],
        environment: [String: String] = [:],
        port: Int? = nil
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pgmqd-test-\(UUID().uuidString.prefix(8))"
        postgres = try EmbeddedPostgres(
            directory: folder,
            database: "template_pgmq",
            // In the data folder: a service manager that ends a service of the same user clears /dev/shm of its files.
            settings: ["max_connections": "400", "dynamic_shared_memory_type": "mmap"].merging(settings) { $1 },
            environment: environment,
            port: port,
            programs: TestPostgres.programs
        )
        try await postgres.start()
        try await pgmq.install(on: postgres)
        let connection = try await Connection.open(url: postgres.url, deadline: .seconds(60))
        _ = try await Schema(connection).migrate()
        await connection.close()
    }

    /// A new database with PGMQ and our schema.
    public func database() async throws -> TestDatabase {
        let name = "t\(UUID().uuidString.prefix(8).lowercased())"
        // One after the other: dozens of tests begin at the same time, and all would wait for all.
        let made = lastMade.withLock { last in
            let task = Task { [postgres, last] in
                _ = await last?.result
                try await postgres.psql("create database \(name) template template_pgmq", database: "postgres")
            }
            last = task
            return task
        }
        try await made.value
        return try await TestDatabase(server: self, name: name)
    }

    /// Through TCP, where it was given a port; with the password.
    public var tcpURL: String? { postgres.tcpURL }

    /// Stops the server and removes its folder.
    public func remove() async {
        await postgres.stop(.immediate)
        try? FileManager.default.removeItem(atPath: postgres.directory)
    }
}

/// One database of a test server.
public struct TestDatabase: Sendable {
    public let server: TestServer
    public let name: String
    public var url: String { server.postgres.url(database: name) }

    init(server: TestServer, name: String) async throws {
        self.server = server
        self.name = name
    }

    /// Runs one statement on a connection of its own.
    @discardableResult
    public func sql(_ text: String, _ parameters: [Parameter] = []) async throws -> Rows {
        try await connected { connection in
            try await connection.run([Statement(text, parameters)], deadline: .seconds(60))[0]
        }
    }

    public func int(_ text: String, _ parameters: [Parameter] = []) async throws -> Int {
        let rows = try await sql(text, parameters)
        return rows.count == 0 ? 0 : Int(rows.int(0, 0))
    }

    public func text(_ text: String, _ parameters: [Parameter] = []) async throws -> String? {
        let rows = try await sql(text, parameters)
        return rows.count == 0 ? nil : rows.text(0, 0)
    }

    public func connected<R: Sendable>(_ body: (Connection) async throws -> R) async throws -> R {
        let connection = try await Connection.open(url: url, application: "test", deadline: .seconds(40))
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Creates the queue, its dead-letter queue and the doorbell.
    public func createQueue(_ name: String, how: String = "create", bell: Bool = true) async throws {
        try await sql("select pgmq.\(how)($1)", [.text(name)])
        try await sql("select pgmq.create($1)", [.text(QueueName.deadLetter(of: name))])
        if bell { _ = try await connected { try await Schema($0).hangDoorbell(on: QueueName(name)) } }
    }

    @discardableResult
    public func send(_ queue: String, _ bodies: [String], delay: Duration = .zero) async throws -> [Int64] {
        try await connected { connection in
            try await Sending(connection).send(bodies.map { Array($0.utf8) }, to: QueueName(queue), delay: delay)
        }
    }

    /// Messages in the queue, visible or not.
    public func count(_ queue: String) async throws -> Int {
        try await int("select count(*) from pgmq.\"\(QueueName(queue).table)\"")
    }
}
