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
        case kept
        /// On the way: known to be there when the server has said so.
        case sent
    }

    /// false behind a pooler, where the next transaction meets another server.
    private var isAllowed: Bool
    private var states: [String: State] = [:]
    /// What is prepared is to be given up, in front of the next transaction's statements.
    private var isStale = false
    /// How often there was no room for a statement. Partitions come and go, and with them the statements on them: after
    /// so many times those that are in use now are prepared instead.
    private var overflows = 0
    private static let mostOverflows = 10_000

    init(isAllowed: Bool) {
        self.isAllowed = isAllowed
    }

    mutating func route(_ statement: Statement) -> Route {
        guard isAllowed, statement.keepsPlan else { return .unnamed }
        let name = Self.name(of: statement)
        if states[statement.sql] != nil { return .prepared(name) }
        guard states.count < Self.limit else {
            overflows += 1
            return .unnamed
        }
        states[statement.sql] = .sent
        return .new(name)
    }

    /// Whether all that is prepared must be given up first; asked once.
    mutating func takeStale() -> Bool {
        if overflows >= Self.mostOverflows {
            (overflows, isStale, states) = (0, true, [:])
        }
        defer { isStale = false }
        return isStale
    }

    mutating func prepared(_ sql: String) {
        if case .sent = states[sql] { states[sql] = .kept }
    }

    /// What a failed transaction had sent and the server did not confirm is sent again.
    mutating func failed(_ error: PostgresError) {
        states = states.filter { if case .kept = $0.value { true } else { false } }
        switch error.sqlState?.code {
        // Not there, or there already: another session than before answers.
        case "26000", "42P05":
            isAllowed = false
            states = [:]
        // A table is not what it was when the plan was made.
        case "0A000":
            isStale = !states.isEmpty
            states = [:]
        default: break
        }
    }

    /// Made of the text: whatever session a pooler may put us on, a name never stands for another statement. (FNV-1a:
    /// Swift's own hashes differ from process to process.)
    private static func name(of statement: Statement) -> String {
        let hash = statement.sql.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "pgmqd_" + String(hash, radix: 36)
    }
}
