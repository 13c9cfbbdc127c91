/// The statements that a connection's server has prepared, by their text.
struct KeptPlans {
    /// Each costs the server some tens of kilobytes; those beyond are planned each time.
    static let limit = 256

    /// How a statement goes out.
    enum Route: Equatable {
        case unnamed
        case prepared(String)
        /// To be prepared under this name, in front of its first use.
        case new(String)
    }

    private enum State {
        case kept(String)
        /// On the way: known to be there when the server has said so.
        case sent(String)
    }

    /// false behind a pooler, where the next transaction meets another server.
    private var isAllowed: Bool
    private var states: [String: State] = [:]
    private var made = 0

    init(isAllowed: Bool) {
        self.isAllowed = isAllowed
    }

    mutating func route(_ statement: Statement) -> Route {
        guard isAllowed, statement.keepsPlan else { return .unnamed }
        switch states[statement.sql] {
        case .kept(let name), .sent(let name): return .prepared(name)
        case nil:
            guard states.count < Self.limit else { return .unnamed }
            made += 1
            let name = "pgmqd_\(made)"
            states[statement.sql] = .sent(name)
            return .new(name)
        }
    }

    mutating func prepared(_ sql: String) {
        if case .sent(let name) = states[sql] { states[sql] = .kept(name) }
    }

    /// What a failed transaction had sent and the server did not confirm is sent again, under a new name.
    mutating func failed(_ error: PostgresError) {
        states = states.filter { if case .kept = $0.value { true } else { false } }
        switch error.sqlState?.code {
        // Not there, or there already: another session than before answers.
        case "26000", "42P05":
            isAllowed = false
            states = [:]
        // A table is not what it was when the plan was made.
        case "0A000":
            states = [:]
        default: break
        }
    }
}
