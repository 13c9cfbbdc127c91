/// The transaction in flight on a connection: what came back so far.
struct Call {
    let statements: Int
    /// Statements in front that the caller did not write, and that its numbering leaves out.
    let prefix: Int
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<Result<[Rows], PostgresError>, Never>
    /// The statements that are prepared in this transaction, each in front of the statement of that number.
    private var preparing: [(before: Int, sql: String)] = []

    private var rows: [Rows] = []
    private var error: PostgresError?

    init(
        statements: Int,
        prefix: Int,
        deadline: ContinuousClock.Instant,
        _ continuation: CheckedContinuation<Result<[Rows], PostgresError>, Never>
    ) {
        self.statements = statements
        self.prefix = prefix
        self.deadline = deadline
        self.continuation = continuation
        rows.reserveCapacity(statements)
    }

    /// An error that came before the connection broke tells more than the break: 57P01, for one.
    var fatal: PostgresError? {
        guard var error else { return nil }
        error.kind = .connection
        return error
    }

    /// Believed only once the Sync has come back: an error of the commit arrives behind all the rows.
    var result: Result<[Rows], PostgresError> {
        if let error { return .failure(error) }
        guard rows.count == statements else {
            return .failure(PostgresError(.server, message: "\(rows.count) results for \(statements) statements"))
        }
        return .success(rows)
    }

    mutating func prepares(_ sql: String, before statement: Int) {
        preparing.append((statement, sql))
    }

    /// - Returns: the statement that the next result says is prepared; nil if that result is a statement's own.
    mutating func nextPrepared() -> String? {
        guard let first = preparing.first, first.before == rows.count else { return nil }
        return preparing.removeFirst().sql
    }

    mutating func received(_ rows: Rows) {
        self.rows.append(rows)
    }

    mutating func failed(_ error: PostgresError) {
        guard self.error == nil else { return }
        var error = error
        error.statement = rows.count < statements ? rows.count - prefix : nil
        self.error = error
    }
}
