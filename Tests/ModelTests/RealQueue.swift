import Engine
import PGMQ
import Postgres
import QueueModel

/// A queue of a real server, asked what the model is asked: by daemons through their port, by others in SQL.
struct RealQueue: Sendable {
    let name: QueueName
    let hasLastReadAt: Bool
    let ports: [PGMQQueue]
    let client: Connection
    let dawdler: Connection

    private static let deadline: Duration = .seconds(30)
    /// Nobody but the dawdler holds locks, and he lets none go meanwhile.
    private static let limits = Limits(deadline: deadline, lockTimeout: .milliseconds(50))

    // MARK: - Operations

    func perform(_ operation: Operation) async throws -> Answer {
        switch operation {
        case .exchange(let exchange, let daemon):
            do throws(QueueFailure) {
                let result = try await ports[daemon].exchange(exchange)
                return .exchanged(Changes(result))
            } catch .busy {
                return .locked
            }
        case .renew(let fences, let notAfter):
            return .renewed(try await ports[0].renew(RenewalOrder(fences: fences, notAfter: notAfter)).results)
        case .closePhantoms(let daemon, let holding):
            try await ports[daemon].closePhantoms(holding: holding)
            return .closed
        case .probe(let passedOver):
            return .probed(try await ports[0].probe(besides: true, passingOver: passedOver))
        case .list(let claim):
            return .listed(try await ports[0].list(claim))
        case .send, .read, .setVT, .delete, .lock:
            do throws(PostgresError) {
                let rows = try await client.transaction([statement(operation)], limits: Self.limits).rows[0]
                return answer(operation, rows)
            } catch  where error.sqlState?.code == "55P03" {
                return .locked
            }
        }
    }

    /// By the dawdler, whose transaction stays open. A daemon never dawdles: its operations do nothing here.
    func begin(_ operation: Operation) async throws -> Answer {
        let statements = [Statement("begin"), Statement("set local lock_timeout = '50ms'"), statement(operation)]
        do throws(PostgresError) {
            return answer(operation, try await dawdler.run(statements, deadline: Self.deadline)[2])
        } catch  where error.sqlState?.code == "55P03" {
            try await end(commits: false)
            return .locked
        }
    }

    func end(commits: Bool) async throws {
        _ = try await dawdler.run([Statement(commits ? "commit" : "rollback")], deadline: Self.deadline)
    }

    /// What a crash of the server does to an unlogged queue.
    func empty() async throws {
        _ = try await client.run(
            [Statement("truncate pgmq.\(name.table) restart identity")],
            deadline: Self.deadline
        )
    }

    private func answer(_ operation: Operation, _ rows: Rows) -> Answer {
        let ids = (0..<rows.count).map { rows.int($0, 0) }
        if case .send = operation { return .sent(ids) }
        return .touched(ids.sorted())
    }

    /// Of another client: PGMQ's own functions, or on an older queue what they were then.
    private func statement(_ operation: Operation) -> Statement {
        let queue = Parameter.text(name.written)
        let table = "pgmq.\(name.table)"
        switch operation {
        case .send(let bodies, let delay):
            let delay = Parameter.int(delay.components.seconds)
            let isBatch = bodies.count > 1
            return Statement(
                "select * from pgmq.\(isBatch ? "send_batch" : "send")($1, $2, $3::bigint::int)",
                [queue, isBatch ? .jsons(bodies) : .json(bodies[0]), delay]
            )
        case .read(let limit, let timeout):
            let parameters: [Parameter] = [.int(timeout.components.seconds), .int(Int64(limit))]
            guard hasLastReadAt else {
                return Statement(
                    """
                    with p as (
                        select msg_id from \(table) where vt <= clock_timestamp()
                        order by msg_id limit $2 for update skip locked
                    )
                    update \(table) q set vt = clock_timestamp() + $1 * interval '1 second', read_ct = read_ct + 1
                    from p where q.msg_id = p.msg_id returning q.msg_id
                    """,
                    parameters
                )
            }
            return Statement("select msg_id from pgmq.read($3, $1::bigint::int, $2::bigint::int)", parameters + [queue])
        case .setVT(let id, let vt):
            let parameters: [Parameter] = [.int(id), .timestamp(ServerClock.parameter(vt))]
            guard hasLastReadAt else {
                return Statement("update \(table) set vt = $2 where msg_id = $1 returning msg_id", parameters)
            }
            return Statement("select msg_id from pgmq.set_vt($3, $1, $2)", parameters + [queue])
        case .delete(let id):
            return Statement("select * from pgmq.delete($1, array[$2::bigint])", [queue, .int(id)])
        case .lock(let limit):
            return Statement(
                "select msg_id from \(table) order by msg_id limit $1 for update skip locked",
                [.int(Int64(limit))]
            )
        case .exchange, .renew, .closePhantoms, .probe, .list:
            return Statement("select 0::bigint where false")
        }
    }

    // MARK: - Looking

    func look() async throws -> RealState {
        let rows = try await client.run(
            [
                Statement(
                    """
                    select msg_id, read_ct, enqueued_at, \(hasLastReadAt ? "last_read_at" : "enqueued_at"), vt, message::text, ctid
                    from pgmq.\(name.table) order by msg_id
                    """
                ),
                Statement(
                    """
                    select msg_id, enqueued_at, read_ct, daemon, outcome, attempt, duration_ms, reason
                    from pgmqd.journal where queue = $1 order by msg_id, enqueued_at, read_ct
                    """,
                    [.text(name.folded)]
                ),
                Statement(
                    """
                    select message::text || ' ' || (headers->'x-pgmqd'->>'reason') || ' ' ||
                        jsonb_array_length(headers->'x-pgmqd'->'attempts')
                    from pgmq.\(QueueName(QueueName.deadLetter(of: name.folded)).table)
                    """
                ),
                Statement("select message::text from pgmq.\(name.archive)"),
                Statement("select clock_timestamp()"),
            ],
            deadline: Self.deadline
        )
        return RealState(rows[0], journal: rows[1], deadLetters: rows[2], archive: rows[3], clock: rows[4])
    }
}
