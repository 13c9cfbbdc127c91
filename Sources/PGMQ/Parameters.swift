import Postgres

/// Collects a statement's parameters while its text is written.
struct Parameters {
    private(set) var values: [Parameter] = []

    /// - Returns: the placeholder, `$1` for the first.
    mutating func add(_ value: Parameter) -> String {
        values.append(value)
        return "$\(values.count)"
    }
}
