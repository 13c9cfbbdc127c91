/// The transaction in flight on a connection: what came back so far.
struct Call {
    let statements: Int
    /// Statements in front that the caller did not write, and that its numbering leaves out.
    let prefix: Int
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<Result<[Rows], PostgresError>, Never>
    /// What is sent for our own sake in front of the statement of that number: the text that is prepared there, or nil
    /// for something else.
    private var asides: [(before: Int, prepares: String?)] = []

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

    mutating func expectAside(before statement: Int, prepares sql: String?) {
        asides.append((statement, sql))
    }

    /// - Returns: nil if the next result is a statement's own.
    mutating func nextAside() -> String?? {
        guard let first = asides.first, first.before == rows.count else { return nil }
        return .some(asides.removeFirst().prepares)
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
