import Foundation
import PGMQWorker

/// The PGMQ that a test's server has.
public enum TestPGMQ: String, CaseIterable, Sendable {
    case v1_13_0 = "1.13.0"
    case v1_11_1 = "1.11.1"
    /// The shape of 1.5 to 1.9, which the newest is brought into, because no package has these versions.
    case v1_5 = "1.5"

    /// The one that the tests run on: `PGMQD_TEST_PGMQ` names it, the newest is the default.
    public static let tested: TestPGMQ = {
        guard let name = ProcessInfo.processInfo.environment["PGMQD_TEST_PGMQ"], !name.isEmpty else { return .v1_13_0 }
        guard let named = TestPGMQ(rawValue: name) else {
            fatalError("PGMQD_TEST_PGMQ is \(name), and none of \(allCases.map(\.rawValue))")
        }
        return named
    }()

    /// Queues have the column `last_read_at`, since 1.10.
    public var hasLastReadAt: Bool { self != .v1_5 }

    /// PGMQ itself can notify of messages sent.
    public var hasNotifications: Bool { self != .v1_5 }

    func install(on postgres: EmbeddedPostgres) async throws {
        switch self {
        case .v1_13_0:
            try await postgres.installPGMQ(.release(.v1_13_0))
        case .v1_11_1:
            try await postgres.installPGMQ(.release(.v1_11_1))
        case .v1_5:
            try await postgres.installPGMQ(.release(.v1_13_0))
            try await postgres.psql(Self.shapeOf1_5)
        }
    }

    /// Removes what came after 1.5: notifications, topics, groups, and `last_read_at` from the tables that will be made,
    /// from the record of a message and from every function.
    private static let shapeOf1_5 = #"""
        do $$
        declare
            newer regprocedure;
            definition text;
        begin
            for newer in
                select oid::regprocedure from pg_proc
                where pronamespace = 'pgmq'::regnamespace and proname ~ 'notify|topic|routing|grouped|fifo'
            loop
                execute format('drop function %s', newer);
            end loop;
            drop table pgmq.notify_insert_throttle, pgmq.topic_bindings;
            alter type pgmq.message_record drop attribute last_read_at;
            for definition in
                select pg_get_functiondef(oid) from pg_proc
                where pronamespace = 'pgmq'::regnamespace and prosrc ~ 'last_read_at'
            loop
                -- In a list of columns, in a table's definition, in an assignment: always followed by others.
                execute regexp_replace(
                    definition,
                    '(m\.)?last_read_at( timestamp with time zone| = clock_timestamp\(\))?,\s*',
                    '',
                    'gi'
                );
            end loop;
            if exists (
                select from pg_proc where pronamespace = 'pgmq'::regnamespace and prosrc ~ 'last_read_at|notify'
            ) then
                raise 'a function of PGMQ still refers to what 1.5 did not have';
            end if;
        end
        $$
        """#
}
