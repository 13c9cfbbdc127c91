import Engine
import Foundation
import Logging
import Postgres
import Synchronization

/// The engine's port, spoken in SQL to one PGMQ queue.
public final class PGMQQueue: Engine.Queue {
    private struct State {
        var statements: QueueStatements?
        var epoch = -1
        var readAt = Instant.now
        /// The dead-letter queue was seen, and the table is one that can be claimed from.
        var isProven = false
        /// It could not sleep, for nobody would wake it.
        var cannotBeRung = false
        var partitions = Partitions()
        /// The partition that the last full claim came from; 0: the next one looks through the parent.
        var current: UInt16 = 0
    }

    let name: QueueName
    let database: Database
    let options: QueueOptions
    private let state = Mutex(State())
    /// What ``journalBeforeClaiming(_:onCommit:)`` was given; nil where there is nothing to be journaled.
    let crashes = Mutex<UnjournaledCrashes?>(nil)
    private let onWake = Mutex<@Sendable (Wake) -> Void>({ _ in })

    public init(name: QueueName, options: QueueOptions, database: Database) {
        self.name = name
        self.options = options
        self.database = database
    }

    /// Before the database runs: where hints go.
    public func connect(onWake: @escaping @Sendable (Wake) -> Void) {
        self.onWake.withLock { $0 = onWake }
        database.listener.add(name) { [weak self] wake in
            // A session that is lost takes its locks along.
            if case .listening = wake { self.map { $0.database.prober.wokeUp($0.name) } }
            onWake(wake)
        }
        database.onReconnect { onWake(.reconnected) }
        database.onAway { onWake(.away) }
    }

    // MARK: - The port

    public func exchange(_ exchange: Exchange) async throws(QueueFailure) -> ExchangeResult {
        let reply = try await carry(exchange)
        var refused = reply.refused
        if let suspect = exchange.begins, !reply.hasBegun { refused.insert(suspect.fence) }
        return ExchangeResult(
            refused: refused,
            kept: reply.kept,
            claimed: reply.claimed.map(leases) ?? [],
            swallowed: reply.claimed.map { Self.swallowed($0.rows) } ?? [],
            moved: reply.moved.map { $0.count > 0 } ?? false,
            clock: ServerTime.timestamp(reply.clock),
            sent: reply.sent
        )
    }

    /// The rows of a claim, and where their fences were read.
    private struct Claimed: Sendable {
        let rows: Rows
        let statements: QueueStatements
        private let source: FenceSource
        /// Claimed through the parent, each row tells its partition.
        private let tellsPartitions: Bool

        init(rows: Rows, source: FenceSource, _ statements: QueueStatements) {
            self.rows = rows
            self.source = source
            self.statements = statements
            tellsPartitions = statements.shape.isPartitioned && source.partition == 0
        }

        func source(_ row: Int) -> FenceSource {
            guard tellsPartitions, !rows.isNull(row, 10) else { return source }
            let number = statements.partitions.number(of: rows.int(row, 10))
            return FenceSource(partition: number, outlivesDelay: source.outlivesDelay)
        }

        /// The place, where it names one row.
        func place(_ row: Int) -> Place? {
            if tellsPartitions, source(row).partition == 0 { return nil }
            return rows.place(row, 9).map(Place.init)
        }

        /// The partition of the last row, which is where the next ones lie.
        var commonPartition: UInt16 { rows.count == 0 ? 0 : source(rows.count - 1).partition }

        var hasUnknownPartition: Bool {
            tellsPartitions && statements.partitions.isComplete
                && (0..<rows.count).contains { !rows.isNull($0, 10) && source($0).partition == 0 }
        }
    }

    /// What came back. What was claimed is not read yet: the connection is free for others meanwhile.
    private struct Reply: Sendable {
        var refused: Set<Fence> = []
        var kept: Set<Fence> = []
        var hasBegun = false
        var moved: Rows?
        var claimed: Claimed?
        let clock: Int64
        let sent: Instant
    }

    private func carry(_ exchange: Exchange) async throws(QueueFailure) -> Reply {
        try await onWork { connection, statements async throws(QueueFailure) in
            do throws(QueueFailure) {
                return try await self.send(exchange, connection, statements)
            } catch {
                guard case .refused = error, statements.shape.isPartitioned else { throw error }
                // A partition may be gone, which ends the leases in it, and nothing else.
                self.state.withLock { $0.epoch = -1 }
                return try await self.send(exchange, connection, try await self.statements(on: connection))
            }
        }
    }

    private func send(
        _ exchange: Exchange,
        _ connection: Connection,
        _ statements: QueueStatements
    ) async throws(QueueFailure) -> Reply {
        if exchange.claim != nil {
            try prove(statements)
            try await journalCrashes(statements, on: connection)
        }
        let gone = exchange.settlements.contains { statements.isGone($0.fence.source) }
        let settlements =
            gone ? exchange.settlements.filter { !statements.isGone($0.fence.source) } : exchange.settlements
        var settling: [SettlingStatement] = []
        var unclaimable: Statement?
        do throws(MissingDeadLetterQueue) {
            settling = try statements.settle(settlements)
            unclaimable = try exchange.unclaimable.map { order throws(MissingDeadLetterQueue) in
                try statements.statement(order)
            }
        } catch {
            throw .refused(Problem.missing(deadLetter: error.name))
        }
        var pipeline = settling.map(\.statement)
        func add(_ statement: Statement?) -> Int? {
            guard let statement else { return nil }
            pipeline.append(statement)
            return pipeline.count - 1
        }
        let suspect = exchange.begins.flatMap { statements.isGone($0.fence.source) ? nil : $0 }
        let begins = add(suspect.map(statements.begin))
        _ = add(exchange.lost.isEmpty ? nil : statements.closeLost(exchange.lost))
        let moves = add(unclaimable)
        if settlements.contains(where: \.outcome.rings) {
            pipeline.append(Statement("select pgmqd.ring($1)", [.text(name.folded)]))
        }
        let partition = exchange.claim.map { self.partition(for: $0, statements) } ?? 0
        let claims = add(exchange.claim.map { statements.claim($0, from: partition) })
        let isClaimAlone = claims == 0
        // A claim may be lost by a crash where the fence notices; what it rides with may not, unless the queue says so.
        let mustKeepClaim = exchange.claim != nil && !statements.shape.hasLastReadAt
        let durable = mustKeepClaim || !isClaimAlone && options.durable
        let sent = Instant.now
        let (pipelined, limits) = (pipeline, database.limits(synchronousCommit: durable))
        let (rows, clock) = try await Self.call { () async throws(PostgresError) in
            try await connection.transaction(pipelined, limits: limits)
        }
        var reply = Reply(clock: clock, sent: sent)
        reply.refused = Set(zip(settling, rows).flatMap { $0.refused($1) })
        if !reply.refused.isEmpty {
            let doubted = settlements.filter { $0.place == nil && reply.refused.contains($0.fence) }
            reply.kept = try await kept(doubted.map(\.fence), connection, statements)
        }
        if gone {
            for settlement in exchange.settlements where statements.isGone(settlement.fence.source) {
                reply.refused.insert(settlement.fence)
            }
        }
        reply.hasBegun = begins.map { rows[$0].count > 0 } ?? false
        if case .deadLetter = exchange.unclaimable { reply.moved = moves.map { rows[$0] } }
        if let claims, let claim = exchange.claim {
            let claimed = Claimed(rows: rows[claims], source: statements.source(partition: partition), statements)
            reply.claimed = claimed
            learn(from: claimed, claim)
        }
        return reply
    }

    // MARK: - Partitions

    /// A claim in order goes on where the last one came from, as long as that is full. All others look through the
    /// parent, and find what is due in older partitions.
    private func partition(for claim: Claim, _ statements: QueueStatements) -> UInt16 {
        guard claim.reach == .floor else { return 0 }
        let current = state.withLock { $0.current }
        // These statements may be older than that partition, or newer.
        return statements.partitions[current] == nil ? 0 : current
    }

    private func learn(from claimed: Claimed, _ claim: Claim) {
        guard claimed.statements.shape.isPartitioned else { return }
        let isFull = claimed.rows.count >= claim.limit
        let next = isFull ? claimed.commonPartition : 0
        state.withLock { state in
            if case .only = claim.reach { return }
            state.current = state.partitions[next] == nil ? 0 : next
            // One that was made since the catalog was read.
            if claimed.hasUnknownPartition { state.epoch = -1 }
        }
    }

    /// Asks, where a settlement changed nothing, whether the row still carries the fence. Then no lease is lost: a trigger
    /// or a policy swallowed the statement, or hides what it needs.
    private func kept(
        _ fences: [Fence],
        _ connection: Connection,
        _ statements: QueueStatements
    ) async throws(QueueFailure) -> Set<Fence> {
        guard !fences.isEmpty else { return [] }
        let groups = Array(Dictionary(grouping: fences, by: \.source))
        let looks = groups.map { statements.held($0.value, of: $0.key) }
        do throws(PostgresError) {
            let rows = try await connection.transaction(looks, limits: database.limits()).rows
            let kept = zip(groups, rows).reduce(into: Set<Fence>()) { $0.formUnion(Self.fences($1.1, of: $1.0.key)) }
            // What hides or keeps rows is in the catalog: the next claim reads it first, and names it.
            if !kept.isEmpty { state.withLock { $0.epoch = -1 } }
            return kept
        } catch {
            // The transaction before is committed: its answer counts, whatever becomes of this question.
            return []
        }
    }

    /// On a connection that is opened for it: a wait for somebody's lock keeps none of the others busy. One queue of a
    /// daemon waits at a time.
    public func watch(passingOver: [Int64]) async throws(QueueFailure) -> Watched {
        let statements = try await onWork { _, statements async throws(QueueFailure) in statements }
        guard database.isWatching.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            throw .busy("another queue waits for a lock", smaller: false)
        }
        defer { database.isWatching.store(false, ordering: .relaxed) }
        return try await Self.call { () async throws(PostgresError) in
            let deadline = self.database.settings.callDeadline
            let connection = try await Connection.open(
                url: self.database.settings.url,
                application: "pgmqd watch",
                deadline: deadline
            )
            let result: Result<Watched, PostgresError>
            do throws(PostgresError) {
                let limits = Limits(deadline: deadline)
                let rows = try await connection.transaction(
                    [statements.watch(passingOver: passingOver)],
                    limits: limits
                ).rows[0]
                result = .success(rows.count > 0 ? .free : .nothing)
            } catch {
                result = error.sqlState?.code == "55P03" ? .success(.stillLocked) : .failure(error)
            }
            await connection.close()
            return try result.get()
        }
    }

    public func list(_ claim: Claim) async throws(QueueFailure) -> [Candidate] {
        let rows = try await onWork { connection, statements async throws(QueueFailure) in
            try await Self.call { () async throws(PostgresError) in
                try await connection.transaction([statements.list(claim)], limits: self.database.limits()).rows[0]
            }
        }
        return (0..<rows.count).map { row in
            Candidate(
                messageID: rows.int(row, 0),
                readCount: Int32(truncatingIfNeeded: rows.int(row, 1)),
                enqueuedAt: ServerTime.timestamp(rows.timestamp(row, 2)),
                lastReadAt: rows.isNull(row, 3) ? nil : ServerTime.timestamp(rows.timestamp(row, 3))
            )
        }
    }

    public func read(_ fence: Fence) async throws(QueueFailure) -> Content? {
        let rows = try await onWork { connection, statements async throws(QueueFailure) -> Rows? in
            if statements.isGone(fence.source) { return nil }
            return try await Self.call { () async throws(PostgresError) in
                try await connection.transaction([statements.read(fence)], limits: self.database.limits()).rows[0]
            }
        }
        guard let rows, rows.count > 0 else { return nil }
        return Content(body: rows.bytes(0, 0), headers: rows.bytes(0, 1))
    }

    /// On its own connection; on one of those for work where that cannot be had, because of a limit of the role or of the
    /// server.
    public func renew(_ renewal: RenewalOrder) async throws(QueueFailure) -> Renewals {
        let groups = Array(Dictionary(grouping: renewal.fences, by: \.source))
        let pool = database.renewing.isOpen || !database.work.isOpen ? database.renewing : database.work
        // Whoever finds no connection here in time fails, and chooses again.
        return try await on(pool, waiting: database.settings.callDeadline) {
            connection,
            statements async throws(QueueFailure) in
            let sent = Instant.now
            // Leases in a partition that is gone are in neither answer: they are lost.
            let groups = groups.filter { !statements.isGone($0.key) }
            guard !groups.isEmpty else { return Renewals(results: renewal.fences.map { _ in .lost }, sent: sent) }
            let pipeline = groups.flatMap {
                statements.renew($0.value, of: $0.key, notAfter: renewal.notAfter)
            }
            let (rows, clock) = try await Self.call { () async throws(PostgresError) in
                try await connection.transaction(pipeline, limits: self.database.limits())
            }
            var renewed: Set<Fence> = []
            var held: Set<Fence> = []
            for (index, group) in groups.enumerated() {
                renewed.formUnion(Self.fences(rows[2 * index], of: group.key))
                held.formUnion(Self.fences(rows[2 * index + 1], of: group.key))
            }
            let results = renewal.fences.map { fence -> Renewal in
                if renewed.contains(fence) { return .renewed }
                return held.contains(fence) ? .skipped : .lost
            }
            return Renewals(results: results, sent: sent, clock: ServerTime.timestamp(clock))
        }
    }

    public func closePhantoms(holding held: [Delivery]) async throws(QueueFailure) {
        try await onWork { connection, statements async throws(QueueFailure) in
            _ = try await Self.call { () async throws(PostgresError) in
                try await connection.transaction(
                    [statements.closePhantoms(holding: held)],
                    limits: self.database.limits()
                )
            }
        }
    }

    public func probe(besides: Bool, passingOver: [Int64]) async throws(QueueFailure) -> Probe {
        let table = try await onWork { _, statements async throws(QueueFailure) in statements.shape.table }
        let member = Prober.Member(
            queue: name,
            table: table,
            passedOver: passingOver,
            onWake: onWake.withLock { $0 }
        )
        database.prober.fellAsleep(member)
        return try await Self.call { () async throws(PostgresError) in
            try await self.database.prober.probe(member, besides: besides, database: self.database)
        }
    }

    public func fallAsleep() async throws(QueueFailure) -> Bool {
        let shape = try await onWork { _, statements async throws(QueueFailure) in statements.shape }
        guard database.listener.isHeard else { return false }
        guard shape.canRing else {
            state.withLock { $0.cannotBeRung = true }
            return false
        }
        if shape.hasDoorbell {
            try await Self.call { () async throws(PostgresError) in
                try await self.database.listener.fallAsleep(self.name)
            }
        }
        return true
    }

    public func wakeUp() async throws(QueueFailure) {
        database.prober.wokeUp(name)
        try await Self.call { () async throws(PostgresError) in
            try await self.database.listener.wakeUp(self.name)
        }
    }

    /// Deletes the journal rows of messages that are gone, by whatever hand: `pgmq.delete`, a purge, a dropped queue's
    /// namesake. Old rows only, so that it never meets a claim at work.
    public func prune() async throws(QueueFailure) {
        try await onWork { connection, statements async throws(QueueFailure) in
            _ = try await Self.call { () async throws(PostgresError) in
                try await connection.transaction([statements.prune()], limits: self.database.limits())
            }
        }
    }

    // MARK: - Shape

    private func onWork<R: Sendable>(
        _ body: @Sendable (Connection, QueueStatements) async throws(QueueFailure) -> R
    ) async throws(QueueFailure) -> R {
        try await on(database.work, body)
    }

    private func on<R: Sendable>(
        _ pool: ConnectionPool,
        waiting patience: Duration? = nil,
        _ body: @Sendable (Connection, QueueStatements) async throws(QueueFailure) -> R
    ) async throws(QueueFailure) -> R {
        let result = try await Self.call { () async throws(PostgresError) in
            try await pool.use(waiting: patience) { connection async throws(PostgresError) -> Result<R, QueueFailure> in
                do throws(QueueFailure) {
                    return .success(try await body(connection, try await self.statements(on: connection)))
                } catch {
                    // A server that has become a standby, or is going: the next connection looks for the primary again.
                    if case .unavailable = error { await connection.close() }
                    return .failure(error)
                }
            }
        }
        switch result {
        case .success(let value):
            return value
        case .failure(let failure):
            if failure.doubtsShape { state.withLock { $0.epoch = -1 } }
            throw failure
        }
    }

    private func statements(on connection: Connection) async throws(QueueFailure) -> QueueStatements {
        let epoch = database.currentEpoch
        let known = state.withLock { state in
            // Now and then anyway: a doorbell may have been taken down.
            state.epoch == epoch && .now - state.readAt < .seconds(300) ? state.statements : nil
        }
        if let known { return known }
        let shape = try await Self.call { () async throws(PostgresError) in
            try await QueueShape.load(
                self.name,
                deadLetter: self.options.deadLetter,
                on: connection,
                limits: self.database.limits()
            )
        }
        guard let shape else {
            throw .refused(Problem.missing(queue: name))
        }
        let (partitions, gone) = state.withLock { state in
            let gone = state.partitions.update(shape.partitions, of: shape.table)
            if gone > 0 { state.current = 0 }
            return (state.partitions, gone)
        }
        if gone > 0 {
            database.logger.warning(
                "partitions gone; leases of messages in them have ended",
                metadata: ["queue": "\(name)", "partitions": "\(gone)"]
            )
        }
        let statements = QueueStatements(
            queue: name,
            shape: shape,
            identity: database.identity,
            options: options,
            partitions: partitions
        )
        let gainsBell = state.withLock { state in
            state.statements = statements
            guard state.cannotBeRung, shape.canRing, database.listener.isHeard else { return false }
            state.cannotBeRung = false
            return true
        }
        // Hung while it was polled: from now on it may sleep.
        if gainsBell { onWake.withLock { $0 }(.listening(true)) }
        state.withLock { state in
            state.epoch = epoch
            state.readAt = .now
            state.isProven = false
        }
        return statements
    }

    /// Before the first claim: nothing is taken that could not be put away.
    private func prove(_ statements: QueueStatements) throws(QueueFailure) {
        if state.withLock({ $0.isProven }) { return }
        let problems = statements.shape.problems(queue: name, deadLetter: options.deadLetter)
        guard problems.isEmpty else { throw .refused(problems.joined(separator: "; ")) }
        state.withLock { $0.isProven = true }
    }

    private static func call<R: Sendable>(
        _ body: () async throws(PostgresError) -> R
    ) async throws(QueueFailure) -> R {
        do throws(PostgresError) {
            return try await body()
        } catch {
            throw QueueFailure(error)
        }
    }

    // MARK: - Rows

    /// The fences that still hold. Compare whole fences, not ids, because this process may hold an expired and a current
    /// lease of one message.
    private static func fences(_ rows: Rows, of source: FenceSource) -> Set<Fence> {
        Set((0..<rows.count).map { fence(rows, $0, readAt: 2, of: source) })
    }

    private static func fence(_ rows: Rows, _ row: Int, readAt: Int, of source: FenceSource) -> Fence {
        Fence(
            messageID: rows.int(row, 0),
            readCount: Int32(truncatingIfNeeded: rows.int(row, 1)),
            readAt: ServerTime.timestamp(rows.timestamp(row, readAt)),
            source: source
        )
    }

    /// Rows that a claim locked and did not change have their id alone.
    private static func swallowed(_ rows: Rows) -> Set<Int64> {
        Set((0..<rows.count).filter { rows.isNull($0, 1) }.map { rows.int($0, 0) })
    }

    private func leases(_ claimed: Claimed) -> [Lease] {
        let rows = claimed.rows
        return (0..<rows.count).compactMap { row in
            if rows.isNull(row, 1) { return nil }
            let (body, headers) = (rows.bytes(row, 6), rows.bytes(row, 7))
            let unsent = rows.isNull(row, 5) ? nil : Int(rows.int(row, 5))
            let isOversized = unsent.map { $0 > options.maxMessageBytes } ?? false
            return Lease(
                delivery: Delivery(
                    fence: Self.fence(rows, row, readAt: 3, of: claimed.source(row)),
                    enqueuedAt: ServerTime.timestamp(rows.timestamp(row, 2))
                ),
                body: body,
                headers: headers,
                size: unsent ?? (body?.count ?? 0) + (headers?.count ?? 0),
                isOversized: isOversized,
                isUnread: unsent != nil && !isOversized,
                history: rows.bytes(row, 8).map(Self.history) ?? .none,
                formerVT: ServerTime.timestamp(rows.timestamp(row, 4)),
                place: claimed.place(row)
            )
        }
    }

    private static func history(_ json: [UInt8]) -> History {
        struct Entry: Decodable {
            let attempts: Int
            let crashes: Int
            let condemned: String?
            let lastReason: String?
        }
        guard let entry = try? JSONDecoder().decode(Entry.self, from: Data(json)) else { return .none }
        return History(
            attempts: entry.attempts,
            crashes: entry.crashes,
            condemned: entry.condemned,
            lastReason: entry.lastReason
        )
    }
}

extension Outcome {
    /// Handing a message back rings: somebody else may be asleep.
    var rings: Bool {
        if case .released(let after) = self { after == .zero } else { false }
    }
}
