/// What the planner may do in a transaction with ``Limits``.
///
/// It knows nothing of a queue that is worth believing: one that was empty when its statistics were taken, or was never
/// analyzed, would be read whole, and rows be locked in another order than that of the parameters. So it is left one way.
public enum Planning: Sendable, Equatable {
    /// Rows are found through indexes, for one parameter after the other.
    case byIndex
    /// Rows are read from the places (`ctid`) that the statement names, and joined by hashing.
    case byPlace

    var settings: [(name: String, value: String)] {
        let byIndex = self == .byIndex ? "on" : "off"
        let byPlace = self == .byPlace ? "on" : "off"
        return [
            ("enable_indexscan", byIndex), ("enable_indexonlyscan", byIndex), ("enable_nestloop", byIndex),
            ("enable_hashjoin", byPlace),
        ]
    }

    /// Changes the way, within a transaction.
    var statement: Statement {
        Statement("select \(Self.calls(settings))", keepsPlan: true)
    }

    static func calls(_ settings: [(name: String, value: String)]) -> String {
        settings.map { "pg_catalog.set_config('\($0.name)', '\($0.value)', true)" }.joined(separator: ", ")
    }
}
