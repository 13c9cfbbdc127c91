import Engine
import Postgres

extension QueueFailure {
    /// Where a database error goes: DESIGN's table of SQLSTATEs.
    init(_ error: PostgresError) {
        let reason = error.description
        switch error.kind {
        case .cancelled: self = .cancelled
        case .connection: self = .unavailable(reason)
        case .deadline: self = .overdue(reason)
        case .server: self = Self.server(error.sqlState, reason)
        }
    }

    private static func server(_ state: SQLState?, _ reason: String) -> QueueFailure {
        guard let state else { return .rejected(reason) }
        switch state.code {
        case "57P01", "57P02", "57P03", "57P05", "25006":
            return .unavailable(reason)
        case "57014":
            return .busy(reason, smaller: true)
        case "40001", "40P01", "55P03", "26000", "42P05", "0A000":
            return .busy(reason, smaller: false)
        case "42P01", "3F000", "42883", "42703", "42804":
            return .refused(reason)
        case "23505":
            return .conflict(reason)
        case "42501":
            return .refused(reason + "; `pgmqd grants` prints what is missing")
        default:
            break
        }
        return switch state.errorClass {
        case "08": .unavailable(reason)
        // Disk, memory, connections: everybody's. What a damaged page gives (58, XX) may be one message's own.
        case "53": .exhausted(reason)
        case "28", "3D": .unavailable(reason)
        default: .rejected(reason)
        }
    }

    /// After these the catalog is read again: something is not as it was.
    var doubtsShape: Bool {
        if case .refused = self { true } else { false }
    }
}
