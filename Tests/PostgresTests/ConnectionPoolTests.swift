import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct ConnectionPoolTests {
    @Test func `a connection is lent to one at a time`() async throws {
        let database = try await TestServer.common().database()
        let pool = ConnectionPool(settings: .init(url: database.url, size: 2), onEvent: { _ in })
        let running = Task { await pool.run() }
        let use = Use()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await pool.use { connection async throws(PostgresError) in
                        use.began()
                        _ = try await connection.run([Statement("select 1")], deadline: .seconds(10))
                        use.ended()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect((1...2).contains(use.most))
        running.cancel()
        await running.value
    }

    @Test func `who waits while there is none can give up`() async throws {
        let pool = ConnectionPool(settings: .init(url: "postgresql://127.0.0.1:1/x", size: 1), onEvent: { _ in })
        let running = Task { await pool.run() }
        let waiting = Task { try await pool.use { _ async throws(PostgresError) in } }
        waiting.cancel()
        let error = await #expect(throws: PostgresError.self) { try await waiting.value }
        #expect(error?.kind == .cancelled)
        running.cancel()
        await running.value
    }

    @Test func `who has waited long enough goes on without one`() async throws {
        let pool = ConnectionPool(settings: .init(url: "postgresql://127.0.0.1:1/x", size: 1), onEvent: { _ in })
        let running = Task { await pool.run() }
        let error = await #expect(throws: PostgresError.self) {
            try await pool.use(waiting: .milliseconds(50)) { _ async throws(PostgresError) in }
        }
        #expect(error?.kind == .deadline)
        running.cancel()
        await running.value
    }

    @Test func `the oldest loan is known while it lasts`() async throws {
        let database = try await TestServer.common().database()
        let pool = ConnectionPool(settings: .init(url: database.url, size: 2), onEvent: { _ in })
        let running = Task { await pool.run() }
        let before = ContinuousClock.now
        let (one, two) = try await pool.use { _ async throws(PostgresError) in
            let one = pool.oldestLoan
            try await pool.use { _ async throws(PostgresError) in }
            return (one, pool.oldestLoan)
        }
        #expect(one ?? before > before)
        #expect(one == two)
        #expect(pool.oldestLoan == nil)
        running.cancel()
        await running.value
    }

    @Test func `a lost connection is opened again, and the one who waits gets it`() async throws {
        let database = try await TestServer.common().database()
        let pool = ConnectionPool(settings: .init(url: database.url, size: 1), onEvent: { _ in })
        let running = Task { await pool.run() }
        func backend() async throws -> Int32 {
            try await pool.use { connection async throws(PostgresError) in
                _ = try await connection.run([Statement("select 1")], deadline: .seconds(10))
                return connection.backend
            }
        }
        let first = try await backend()
        try await database.sql("select pg_terminate_backend($1::bigint::int)", [.int(Int64(first))])
        try await eventually("another backend answers") { (try? await backend()).map { $0 != first } ?? false }
        running.cancel()
        await running.value
    }

    @Test func `delays grow to their limit and never beyond`() {
        let backoff = Backoff(first: .milliseconds(100), max: .seconds(5))
        #expect(backoff.delay(afterFailure: 1, draw: 1) == .milliseconds(100))
        #expect(backoff.delay(afterFailure: 1, draw: 0) == .milliseconds(50))
        #expect(backoff.delay(afterFailure: 1000, draw: 1) == .seconds(5))
    }
}

/// How many use something at the same time.
private final class Use: Sendable {
    private let counts = Mutex<(now: Int, most: Int)>((0, 0))

    var most: Int { counts.withLock { $0.most } }

    func began() {
        counts.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
    }

    func ended() {
        counts.withLock { $0.now -= 1 }
    }
}
