import CLibPQ
import Dispatch
import Synchronization

/// One libpq connection, pinned to a dispatch queue of its own. Nothing of libpq ever blocks the cooperative pool:
/// what it does synchronously (name look-ups, TLS) happens on that queue.
///
/// It runs one transaction at a time; whoever owns the connection sees to that. A transaction that is cancelled or
/// overruns its deadline closes the connection: there is no other way to be rid of its answer.
public actor Connection {
    private let executor: QueueExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// The server process, as the connection start told. Behind a pooler it is not the one that runs statements.
    public nonisolated let backend: Int32
    public nonisolated let serverVersion: Int

    private let socket: Socket
    private let onNotification: @Sendable (Notification) -> Void
    private var plans = KeptPlans(isAllowed: false)
    private var call: Call?
    /// How many there have been: the number of the one in flight.
    private var calls = 0
    private var closed: PostgresError? {
        didSet { closedFlag.store(closed != nil, ordering: .releasing) }
    }
    private nonisolated let closedFlag = Atomic(false)
    private var closeWaiters: [CheckedContinuation<PostgresError, Never>] = []
    private var looksAgain = false
    private var timer: (any DispatchSourceTimer)?
    private var timerDeadline: ContinuousClock.Instant?

    /// Opens a connection. Every host that libpq's settings name is tried.
    ///
    /// - Parameters:
    ///   - url: whatever libpq accepts as a connection string. A writable server is asked for unless it says otherwise.
    ///   - deadline: for the whole of it, all hosts included.
    ///   - onNotification: called on the connection's queue; must not block.
    public static func open(
        url: String,
        application: String = "pgmqd",
        deadline: Duration,
        onNotification: @escaping @Sendable (Notification) -> Void = { _ in }
    ) async throws(PostgresError) -> Connection {
        let executor = QueueExecutor(label: "postgres")
        let end = ContinuousClock.now + deadline
        let handle = try await Handshake(queue: executor.queue).run(
            url: url,
            application: application,
            deadline: deadline
        )
        let connection = Connection(handle: handle, executor: executor, onNotification: onNotification)
        await connection.start()
        do throws(PostgresError) {
            try await connection.greet(deadline: max(.zero, end - .now))
        } catch {
            await connection.close()
            throw error
        }
        return connection
    }

    private init(
        handle: Handle,
        executor: QueueExecutor,
        onNotification: @escaping @Sendable (Notification) -> Void
    ) {
        self.executor = executor
        self.onNotification = onNotification
        backend = PQbackendPID(handle.pointer)
        serverVersion = Int(PQserverVersion(handle.pointer))
        socket = Socket(handle: handle, queue: executor.queue)
    }

    deinit {
        socket.close()
    }

    private func start() {
        socket.start { [weak self] in
            self?.assumeIsolated { $0.receive() }
        } onWritable: { [weak self] in
            self?.assumeIsolated { $0.flush() }
        }
    }

    /// A pooler tells a backend of its own making: behind one, a statement prepared is not there the next time.
    private func greet(deadline: Duration) async throws(PostgresError) {
        let rows = try await run([Statement("select pg_catalog.pg_backend_pid()")], deadline: deadline)
        plans = KeptPlans(isAllowed: rows[0].int(0, 0) == Int64(backend))
    }

    // MARK: - Transactions

    /// Runs the statements in one pipelined transaction, behind the limits' own.
    ///
    /// It is committed when this returns, and rolled back when it throws an error of kind `server`; with any other
    /// error that is unknown.
    ///
    /// - Returns: the rows of each statement, and the server's clock.
    public func transaction(
        _ statements: [Statement],
        limits: Limits
    ) async throws(PostgresError) -> (rows: [Rows], clock: Int64) {
        let planning = statements.first?.plan ?? .byIndex
        var rows = try await run(
            [limits.statement(planning)] + statements,
            deadline: limits.deadline,
            prefix: 1,
            planning
        )
        let clock = rows.removeFirst().timestamp(0, 0)
        return (rows, clock)
    }

    /// Runs the statements in one pipelined transaction, with nothing before them.
    public func run(_ statements: [Statement], deadline: Duration) async throws(PostgresError) -> [Rows] {
        try await run(statements, deadline: deadline, prefix: 0)
    }

    /// - Parameter planning: what the first statement sets for the transaction; nil: nothing, and nothing is changed.
    private func run(
        _ statements: [Statement],
        deadline: Duration,
        prefix: Int,
        _ planning: Planning? = nil
    ) async throws(PostgresError) -> [Rows] {
        if let closed { throw closed }
        guard call == nil else {
            throw PostgresError(.server, message: "two transactions at once on one connection")
        }
        if Task.isCancelled { throw close(PostgresError(.cancelled, message: "cancelled before it was sent")) }
        calls += 1
        let number = calls
        let outcome: Result<[Rows], PostgresError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call = Call(statements: statements.count, prefix: prefix, deadline: .now + deadline, continuation)
                send(statements, planning)
            }
        } onCancel: {
            Task { await self.abort(call: number) }
        }
        return try outcome.get()
    }

    private func send(_ statements: [Statement], _ planning: Planning?) {
        if plans.takeStale() {
            call?.expectAside(before: 0, prepares: nil)
            guard socket.handle.send(Statement("deallocate all")) else { return lost() }
        }
        var planning = planning
        for (index, statement) in statements.enumerated() {
            if let current = planning, statement.plan != current {
                planning = statement.plan
                guard send(statement.plan.statement, index, isAside: true) else { return lost() }
            }
            guard send(statement, index) else { return lost() }
        }
        guard PQpipelineSync(socket.handle.pointer) == 1 else { return lost() }
        armTimer()
        flush()
    }

    private func send(_ statement: Statement, _ index: Int, isAside: Bool = false) -> Bool {
        var name: String?
        switch plans.route(statement) {
        case .unnamed:
            break
        case .prepared(let known):
            name = known
        case .new(let new):
            name = new
            call?.expectAside(before: index, prepares: statement.sql)
            guard socket.handle.prepare(statement, as: new) else { return false }
        }
        if isAside { call?.expectAside(before: index, prepares: nil) }
        return socket.handle.send(statement, as: name)
    }

    private func flush() {
        switch PQflush(socket.handle.pointer) {
        case 0: socket.watchWritable(false)
        case 1: socket.watchWritable(true)
        default: lost()
        }
    }

    private func receive() {
        let end = ContinuousClock.now + Self.stay
        repeat {
            consume()
        } while closed == nil && socket.hasMore(within: call != nil && .now < end ? Self.lull : .zero)
        if call != nil, PQsslInUse(socket.handle.pointer) == 1 { lookAgain() }
    }

    /// The server sends a reply 8 kB at a time. To wait for the next piece here, this long, costs a third of what
    /// dispatch takes to come back with it.
    private static let lull: Duration = .milliseconds(1)
    /// But not for longer in all: the deadline and cancellations wait on the same queue.
    private static let stay: Duration = .milliseconds(10)

    /// What TLS has decrypted and libpq had no room for waits in neither's socket: nobody would tell of it.
    private func lookAgain() {
        guard !looksAgain else { return }
        looksAgain = true
        executor.queue.asyncAfter(deadline: .now() + .milliseconds(5)) { [weak self] in
            self?.assumeIsolated {
                $0.looksAgain = false
                $0.receive()
            }
        }
    }

    private func consume() {
        guard closed == nil else { return }
        let pg = socket.handle.pointer
        guard PQconsumeInput(pg) == 1 else { return lost() }
        while let notification = socket.handle.nextNotification() {
            onNotification(notification)
        }
        while call != nil, PQisBusy(pg) == 0 {
            guard let result = PQgetResult(pg) else {
                // The end of one statement's results; on a broken connection it would come for ever.
                guard PQstatus(pg) == CONNECTION_OK else { return lost() }
                continue
            }
            guard take(result) else { break }
        }
        if call == nil, PQstatus(pg) == CONNECTION_BAD { lost() }
    }

    /// - Returns: false at the end of the transaction.
    private func take(_ result: OpaquePointer) -> Bool {
        switch PQresultStatus(result) {
        case PGRES_PIPELINE_SYNC:
            PQclear(result)
            finish()
            return false
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            if let aside = call?.nextAside() {
                if let sql = aside { plans.prepared(sql) }
                PQclear(result)
            } else {
                call?.received(Rows(taking: result))
            }
        case PGRES_PIPELINE_ABORTED:
            PQclear(result)
        default:
            let error = PostgresError(result: result)
            plans.failed(error)
            call?.failed(error)
            PQclear(result)
        }
        return true
    }

    private func finish() {
        guard let call = call.take() else { return }
        call.continuation.resume(returning: call.result)
    }

    // MARK: - Quoting

    func quoted(
        _ text: String,
        _ escape: (OpaquePointer?, UnsafePointer<CChar>?, Int) -> UnsafeMutablePointer<CChar>?
    ) throws(PostgresError) -> String {
        if let closed { throw closed }
        guard let pointer = escape(socket.handle.pointer, text, text.utf8.count) else {
            throw PostgresError(.server, message: socket.handle.errorMessage)
        }
        defer { PQfreemem(pointer) }
        return String(cString: pointer)
    }

    // MARK: - The end

    /// Closes the connection; a transaction in flight throws the error.
    public func close() {
        close(PostgresError(.connection, message: "connection closed"))
    }

    /// A hint, for those who are about to use it: it may be closed the next moment.
    public nonisolated var isClosed: Bool { closedFlag.load(ordering: .acquiring) }

    /// Returns once the connection is closed, with the reason.
    public func whenClosed() async -> PostgresError {
        if let closed { return closed }
        return await withCheckedContinuation { closeWaiters.append($0) }
    }

    private func abort(call number: Int) {
        // The answer may have come between the cancellation and here, and the connection be at somebody else's call.
        if call != nil, calls == number { close(PostgresError(.cancelled, message: "cancelled in flight")) }
    }

    private func lost() {
        let message = socket.handle.errorMessage
        close(
            call?.fatal
                ?? PostgresError(.connection, message: message.isEmpty ? "the server closed the connection" : message)
        )
    }

    @discardableResult
    private func close(_ error: PostgresError) -> PostgresError {
        guard closed == nil else { return error }
        closed = error
        timer?.cancel()
        timer = nil
        socket.close()
        if let call = call.take() { call.continuation.resume(returning: .failure(error)) }
        for waiter in closeWaiters { waiter.resume(returning: error) }
        closeWaiters = []
        return error
    }

    // MARK: - Deadline

    /// One timer serves many calls: it is set again only when it fires, or for an earlier deadline, so a quick call
    /// costs none.
    private func armTimer() {
        guard let deadline = call?.deadline else { return }
        if let timerDeadline, timer != nil, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        let timer = DispatchSource.makeTimerSource(queue: executor.queue)
        timer.schedule(deadline: .now() + .milliseconds(Int((deadline - .now).milliseconds) + 1))
        timer.setEventHandler { [weak self] in self?.assumeIsolated { $0.timerFired() } }
        self.timer = timer
        timer.activate()
    }

    private func timerFired() {
        timer?.cancel()
        timer = nil
        guard let call else { return }
        if call.deadline <= .now {
            close(PostgresError(.deadline, message: "the database did not answer within its deadline"))
        } else {
            armTimer()
        }
    }
}
