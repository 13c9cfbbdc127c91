/// One SQL statement with its parameters. Always unnamed: planned for these values, each time.
public struct Statement: Sendable, Equatable {
    public var sql: String
    public var parameters: [Parameter]

    public init(_ sql: String, _ parameters: [Parameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }
}
