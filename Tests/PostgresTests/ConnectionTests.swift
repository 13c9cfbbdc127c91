import Dispatch
import Postgres
import Synchronization
import TestSupport
import Testing

/// One libpq connection against a real server.
@Suite struct ConnectionTests {
    private func connection(
        onNotification: @escaping @Sendable (Postgres.Notification) -> Void = { _ in }
    ) async throws -> Connection {
        let database = try await TestServer.common().database()
        return try await Connection.open(url: database.url, deadline: .seconds(60), onNotification: onNotification)
    }

    @Test func `every parameter arrives as it was sent`() async throws {
        let connection = try await connection()
        let sql = """
            select $1::bigint, $2::text, $3::bool, $4::float8, $5::timestamptz, $6::bigint[], $7::text[], $8::jsonb::text,
                $9::text is null, array_length($10::bigint[], 1) is null, $11::timestamptz = '-infinity'
            """
        let rows = try await connection.run(
            [
                Statement(
                    sql,
                    [
                        .int(-42), .text("naïve 😀"), .bool(true), .double(2.5), .timestamp(1_000_001), .ints([1, -2]),
                        .texts(["a", nil]), .json(Array(#"{"n": 12345678901234567890}"#.utf8)), .null, .ints([]),
                        .timestamp(.min),
                    ]
                )
            ],
            deadline: .seconds(10)
        )[0]
        #expect(rows.int(0, 0) == -42)
        #expect(rows.text(0, 1) == "naïve 😀")
        #expect(rows.bool(0, 2))
        #expect(rows.double(0, 3) == 2.5)
        #expect(rows.timestamp(0, 4) == 1_000_001)
        #expect(rows.text(0, 7) == #"{"n": 12345678901234567890}"#)
        #expect(rows.bool(0, 8))
        #expect(rows.bool(0, 9))
        #expect(rows.bool(0, 10))
        await connection.close()
    }

    @Test func `a parameter larger than every buffer is sent whole`() async throws {
        let connection = try await connection()
        let text = String(repeating: "0123456789", count: 3_000_000)
        let statement = Statement("select length($1), md5($1)", [.text(text)])
        let rows = try await connection.run([statement, statement], deadline: .seconds(60))
        #expect(rows[1].int(0, 0) == 30_000_000)
        await connection.close()
    }

    @Test func `an error rolls the whole transaction back and names its statement`() async throws {
        let connection = try await connection()
        _ = try await connection.run([Statement("create table t (a int primary key)")], deadline: .seconds(10))
        let limits = Limits(deadline: .seconds(10))
        let error = await #expect(throws: PostgresError.self) {
            _ = try await connection.transaction(
                [Statement("insert into t values (1)"), Statement("insert into t values (1)"), Statement("select 1")],
                limits: limits
            )
        }
        #expect(error?.kind == .server)
        #expect(error?.sqlState == SQLState("23505"))
        #expect(error?.statement == 1)
        let rows = try await connection.transaction([Statement("select count(*) from t")], limits: limits).rows[0]
        #expect(rows.int(0, 0) == 0)
        await connection.close()
    }

    @Test func `what keeps its plan is prepared once`() async throws {
        let connection = try await connection()
        let limits = Limits(deadline: .seconds(10))
        for number in 1...3 {
            let kept = Statement("select $1::bigint * 2", [.int(Int64(number))], keepsPlan: true)
            let rows = try await connection.transaction([kept, Statement("select 7"), kept], limits: limits).rows
            #expect(rows.map { $0.count } == [1, 1, 1])
            #expect(rows[2].int(0, 0) == Int64(number * 2))
        }
        let names = Statement("select count(*) from pg_prepared_statements where statement like '%* 2'")
        #expect(try await connection.run([names], deadline: .seconds(10))[0].int(0, 0) == 1)
        await connection.close()
    }

    @Test func `what could not be prepared is prepared the next time`() async throws {
        let connection = try await connection()
        let kept = Statement("select a from t", keepsPlan: true)
        for before in ["select 1 / 0", "select 1"] {
            let error = await #expect(throws: PostgresError.self) {
                _ = try await connection.run([Statement(before), kept], deadline: .seconds(10))
            }
            #expect(error?.statement == (before == "select 1" ? 1 : 0))
        }
        _ = try await connection.run([Statement("create table t as select 5 as a")], deadline: .seconds(10))
        #expect(try await connection.run([kept], deadline: .seconds(10))[0].int(0, 0) == 5)
        await connection.close()
    }

    @Test(arguments: ["alter table t alter a type text", "deallocate all"])
    func `a kept plan that no longer holds is made again`(change: String) async throws {
        let connection = try await connection()
        let kept = Statement("select a from t", keepsPlan: true)
        _ = try await connection.run([Statement("create table t as select 5 as a"), kept], deadline: .seconds(10))
        _ = try await connection.run([kept, Statement(change)], deadline: .seconds(10))
        let error = await #expect(throws: PostgresError.self) {
            _ = try await connection.run([kept], deadline: .seconds(10))
        }
        #expect(["0A000", "26000"].contains(error?.sqlState?.code))
        #expect(try await connection.run([kept], deadline: .seconds(10))[0].count == 1)
        await connection.close()
    }

    @Test func `a commit that fails is an error behind all the rows`() async throws {
        let connection = try await connection()
        _ = try await connection.run(
            [Statement("create table t (a int unique deferrable initially deferred)")],
            deadline: .seconds(10)
        )
        let error = await #expect(throws: PostgresError.self) {
            _ = try await connection.run(
                [Statement("insert into t values (1)"), Statement("insert into t values (1)")],
                deadline: .seconds(10)
            )
        }
        #expect(error?.kind == .server)
        #expect(error?.statement == nil)
        #expect(
            try await connection.run([Statement("select count(*) from t")], deadline: .seconds(10))[0].int(0, 0) == 0
        )
        await connection.close()
    }

    @Test func `a call beyond its deadline closes the connection`() async throws {
        let connection = try await connection()
        let error = await #expect(throws: PostgresError.self) {
            _ = try await connection.run([Statement("select pg_sleep(30)")], deadline: .milliseconds(100))
        }
        #expect(error?.kind == .deadline)
        #expect(connection.isClosed)
        #expect(await connection.whenClosed().kind == .deadline)
    }

    @Test func `a cancelled call closes the connection`() async throws {
        let database = try await TestServer.common().database()
        let connection = try await Connection.open(url: database.url, deadline: .seconds(60))
        let task = Task { try await connection.run([Statement("select pg_sleep(30)")], deadline: .seconds(60)) }
        try await eventually("the call is at the server") {
            try await database.int(
                "select count(*) from pg_stat_activity where query like '%pg_sleep(30)' and datname = current_database()"
            ) == 1
        }
        task.cancel()
        let error = await #expect(throws: PostgresError.self) { _ = try await task.value }
        #expect(error?.kind == .cancelled)
        #expect(connection.isClosed)
    }

    @Test func `the server's own limits end a statement below the client's deadline`() async throws {
        let connection = try await connection()
        let error = await #expect(throws: PostgresError.self) {
            _ = try await connection.transaction(
                [Statement("select pg_sleep(30)")],
                // The server's is four fifths of it.
                limits: Limits(deadline: .seconds(20))
            )
        }
        #expect(error?.sqlState == SQLState("57014"))
        #expect(!connection.isClosed)
        await connection.close()
    }

    @Test func `notifications arrive on an idle connection`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Postgres.Notification.self)
        let database = try await TestServer.common().database()
        let listener = try await Connection.open(url: database.url, deadline: .seconds(60)) { continuation.yield($0) }
        _ = try await listener.run([Statement(#"listen "some.Channel""#)], deadline: .seconds(10))
        try await database.sql("select pg_notify('some.Channel', 'x')")
        var received: Postgres.Notification?
        for await notification in stream {
            received = notification
            break
        }
        #expect(received?.channel == "some.Channel")
        #expect(received?.payload == "x")
        await listener.close()
    }

    @Test func `a terminated backend says why`() async throws {
        let database = try await TestServer.common().database()
        let connection = try await Connection.open(url: database.url, deadline: .seconds(60))
        try await database.sql("select pg_terminate_backend($1::bigint::int)", [.int(Int64(connection.backend))])
        _ = await connection.whenClosed()
        #expect(connection.isClosed)
    }

    /// Dispatch forgets a descriptor that hangs up, with whatever is still to be read from it.
    @Test func `last words and the end that arrive together are both heard`() async throws {
        let database = try await TestServer.common().database()
        let goOn = DispatchSemaphore(value: 0)
        let connection = try await Connection.open(url: database.url, deadline: .seconds(60)) { _ in goOn.wait() }
        _ = try await connection.run([Statement("listen busy")], deadline: .seconds(10))
        try await database.sql("notify busy")
        try await database.sql("select pg_terminate_backend($1::bigint::int)", [.int(Int64(connection.backend))])
        try await eventually("the backend is gone") {
            try await database.int("select count(*) from pg_stat_activity where pid = \(connection.backend)") == 0
        }
        goOn.signal()
        try await eventually("the connection is closed") { connection.isClosed }
    }

    @Test func `a server that is not there is an error and not a wait`() async throws {
        let error = await #expect(throws: PostgresError.self) {
            _ = try await Connection.open(url: "postgresql://127.0.0.1:1/x", deadline: .seconds(10))
        }
        #expect(error?.kind == .connection)
    }

    @Test(arguments: [
        "postgresql://app:100%secret@db/app", "postgres//app:secret@db/app?sslmode=require", "host=db password='secret",
        // libpq takes the rest of such a password for a port, a host or a database, and would name it.
        "postgresql://app:secret/part@db/app", "postgresql://app:a@secret@db/app", "postgresql://app:12/secret@db/app",
        "postgresql://app:a?secret@part@db/app",
    ])
    func `a malformed connection string is told without quoting it`(url: String) async throws {
        let error = await #expect(throws: PostgresError.self) {
            _ = try await Connection.open(url: url, deadline: .seconds(10))
        }
        #expect(error?.message == PostgresError.malformedConnectionString)
    }

    @Test(arguments: [
        "postgresql://%40nowhere:1/db", "postgresql://127.0.0.1:1/a%40b", "host=127.0.0.1 port=1 dbname=a@b",
    ])
    func `an escaped @ is understood`(url: String) async throws {
        let error = await #expect(throws: PostgresError.self) {
            _ = try await Connection.open(url: url, deadline: .seconds(10))
        }
        #expect(error?.message != PostgresError.malformedConnectionString)
    }

    @Test func `names and literals are quoted by libpq`() async throws {
        let connection = try await connection()
        #expect(try await connection.quote(identifier: #"a"b; drop"#) == #""a""b; drop""#)
        #expect(try await connection.quote(literal: "it's") == "'it''s'")
        await connection.close()
    }
}
