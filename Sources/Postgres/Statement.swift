/// One SQL statement with its parameters.
public struct Statement: Sendable, Equatable {
    public var sql: String
    public var parameters: [Parameter]
    /// The server parses and plans it once a connection, not each time. Only for a statement that has one sensible
    /// plan, whatever the planner believes of its tables: a plan made while a queue was empty is kept when it is full.
    public var keepsPlan: Bool
    /// How the planner is made to find the rows.
    public var plan: Planning

    public init(
        _ sql: String,
        _ parameters: [Parameter] = [],
        keepsPlan: Bool = false,
        plan: Planning = .byIndex
    ) {
        self.sql = sql
        self.parameters = parameters
        self.keepsPlan = keepsPlan
        self.plan = plan
    }

    /// Until the end of the transaction no name without a schema means anything but PostgreSQL's own.
    ///
    /// For statements that touch no queue's rows: a user's triggers on them must find what the role's path has. Other
    /// statements qualify every function, type, table and operator, because whoever may create in a schema of the path
    /// can put there an overload that fits better, or even the same if the path names that schema first.
    public static let catalogPath = Statement(
        "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"
    )
}
