import Engine
import QueueModel
import TestSupport

/// One step of a list, taken by the model and by the server.
enum Step: Sendable {
    case perform(Operation)
    /// Claims of so many, each from the largest former `vt` of the one before, until one is not full. Which of several
    /// messages with one `vt` comes first is left to the server; all of them must come.
    case bites(Int, Claim, daemon: Int)
    /// Somebody executes it and does not commit yet.
    case begin(Operation)
    case end(commits: Bool)
    /// The queue is emptied, as a crash does to an unlogged one, and its ids begin again.
    case empty
}

/// The two differ, in the step that was taken last.
struct Difference: Error, CustomStringConvertible {
    let description: String
}

/// One seeded list of operations, executed by the model and by a real server, compared after every step.
struct Contest {
    struct Held {
        let lease: Lease
        let daemon: Int
        var isSettled = false
    }

    let archives: Bool
    let real: RealQueue
    var dice: Dice
    var model: QueueModel
    /// Every lease that was ever given out, the oldest first.
    var leases: [Held] = []
    /// The server's, before the next step.
    var clock: Timestamp
    var dawdling: (transaction: Int, since: Timestamp)?
    var planned: [Step] = []
    /// Steps of a message that fails again and again, before the others.
    var rounds: Int
    var messages = 0
    private(set) var story: [String] = []
    /// Rows as they were when they were last compared.
    private var known: [Int64: QueueModel.Version] = [:]
    private var archived: [String] = []

    init(seed: UInt64, lane: Lane, faults: ModelFaults) async throws {
        dice = Dice(seed: seed)
        let settings = QueueModel.Settings(
            visibilityTimeout: .seconds(600),
            maxMessageBytes: 64,
            hasLastReadAt: dice.chance(75) && TestPGMQ.tested.hasLastReadAt,
            isUnlogged: dice.chance(25),
            suspectedAfter: [1, 2, 2, .max][dice.below(4)],
            faults: faults
        )
        // PGMQ's archive takes an id once: it cannot have the messages of an emptied queue beside the earlier ones.
        archives = dice.chance(25) && !settings.isUnlogged
        rounds = dice.chance(6) ? 52 : 0
        model = QueueModel(settings)
        real = try await lane.queue(settings, archives: archives)
        clock = try await real.look().clock
        story.append("\(settings), archives: \(archives)")
    }

    /// - Throws: ``Difference``
    mutating func run(steps: Int) async throws {
        for _ in 0..<(rounds + steps) {
            let step = draw()
            story.append("\(step)")
            try await take(step)
        }
        if dawdling != nil { try await take(.end(commits: dice.chance(50))) }
    }

    // MARK: - Steps

    private mutating func take(_ step: Step) async throws {
        var written = clock
        var claimed: [Lease] = []
        switch step {
        case .perform(let operation):
            let answer = try await real.perform(operation)
            let (expected, facts) = model.perform(operation, now: clock)
            try compare(operation, expected, answer)
            noteArchived(facts)
            noteSettled(operation)
            if case .exchanged(let changes) = answer { claimed = changes.claimed }
            if case .exchange(_, let daemon) = operation { keep(claimed, daemon: daemon) }
        case .bites(let size, let claim, let daemon):
            claimed = try await takeBites(size, claim, daemon: daemon)
            keep(claimed, daemon: daemon)
        case .begin(let operation):
            let answer = try await real.begin(operation)
            let (transaction, expected) = model.begin(operation, now: clock)
            try compare(operation, expected, answer)
            if case .locked = expected { break }
            dawdling = (transaction, clock)
        case .end(let commits):
            guard let dawdling else { break }
            try await real.end(commits: commits)
            if commits {
                noteArchived(model.commit(dawdling.transaction))
            } else {
                model.rollback(dawdling.transaction)
            }
            written = dawdling.since
            self.dawdling = nil
        case .empty:
            try await real.empty()
            _ = model.crash()
            known = [:]
        }
        let state = try await real.look()
        try compare(state, written: written)
        for lease in claimed {
            let row = model.row(lease.fence.messageID)
            try expect(row?.committed?.readCount == lease.fence.readCount, "read count of \(lease.fence)")
            let readAt = model.settings.hasLastReadAt ? row?.committed?.readAt : row?.enqueuedAt
            try expect(readAt == lease.fence.readAt, "the fence \(lease.fence) is not the row's")
        }
        clock = state.clock
    }

    private mutating func takeBites(_ size: Int, _ claim: Claim, daemon: Int) async throws -> [Lease] {
        var expected: [Lease] = []
        var claimed: [Lease] = []
        var claim = claim
        claim.limit = size
        while true {
            let operation = Operation.exchange(Exchange(claim: claim), daemon: daemon)
            guard case .exchanged(let realChanges) = try await real.perform(operation),
                case .exchanged(let modelledChanges) = model.perform(operation, now: clock).answer
            else { throw Difference(description: "a claim waited for a lock") }
            let (theirs, mine) = (realChanges.claimed, modelledChanges.claimed)
            let times = theirs.map(\.formerVT).sorted()
            let modelledTimes = mine.map(\.formerVT).sorted()
            try expect(modelledTimes == times, "a claim of \(size) took \(modelledTimes), \(times)")
            expected += mine
            claimed += theirs
            claim.floor = times.last
            if theirs.count < size { break }
        }
        try compare(expected, claimed)
        return claimed
    }

    private mutating func keep(_ claimed: [Lease], daemon: Int) {
        leases += claimed.sorted { $0.fence.messageID < $1.fence.messageID }.map { Held(lease: $0, daemon: daemon) }
    }

    private mutating func noteSettled(_ operation: Operation) {
        guard case .exchange(let exchange, _) = operation else { return }
        let settled = Set(exchange.settlements.map(\.fence))
        for index in leases.indices where settled.contains(leases[index].lease.fence) { leases[index].isSettled = true }
    }

    private mutating func noteArchived(_ facts: [Fact]) {
        guard archives else { return }
        for case .settled(let settlement, let body, _) in facts where settlement.outcome == .done {
            archived.append(String(decoding: body, as: UTF8.self))
        }
    }

    // MARK: - Comparing

    private func expect(_ holds: Bool, _ what: @autoclosure () -> String) throws {
        if !holds { throw Difference(description: what()) }
    }

    private func agree(_ mine: [String], _ theirs: [String], _ what: String) throws {
        try expect(
            mine == theirs,
            (["\(what), by the model:"] + mine + ["by the server:"] + theirs).joined(separator: "\n")
        )
    }

    private func compare(_ operation: Operation, _ expected: Answer, _ answer: Answer) throws {
        switch (expected, answer) {
        case (.sent(let expected), .sent(let ids)):
            try expect(expected == ids, "sent \(expected), \(ids)")
        case (.exchanged(let expectedChanges), .exchanged(let changes)):
            let (expected, claimed) = (expectedChanges.claimed, changes.claimed)
            let (expectedRefused, refused) = (expectedChanges.refused, changes.refused)
            try expect(expectedRefused == refused, "refused \(expectedRefused), \(refused)")
            try expect(expectedChanges.kept == changes.kept, "kept \(expectedChanges.kept), \(changes.kept)")
            try expect(
                expectedChanges.moved == changes.moved && expectedChanges.swallowed == changes.swallowed,
                "moved and swallowed: \(expectedChanges), \(changes)"
            )
            let (reached, reachedHere) = (expected.map(\.formerVT).max(), claimed.map(\.formerVT).max())
            try expect(reached == reachedHere, "reached \(String(describing: (reached, reachedHere)))")
            try compare(expected, claimed)
        case (.renewed(let expected), .renewed(let results)):
            try expect(expected == results, "renewed \(expected), \(results)")
        case (.touched(let expected), .touched(let ids)):
            try expect(expected.sorted() == ids, "touched \(expected), \(ids)")
        case (.probed(let expected), .probed(let probe)):
            try expect(
                expected.hasVisible == probe.hasVisible && expected.hasWriters == probe.hasWriters
                    && (expected.nextDue == nil) == (probe.nextDue == nil),
                "probed \(expected), \(probe)"
            )
            // Time passes on the way; what is due next is an hour away, or ten minutes.
            let off = (expected.nextDue ?? .zero) - (probe.nextDue ?? .zero)
            try expect(off > .milliseconds(-1) && off < .seconds(60), "next due \(expected), \(probe)")
        case (.listed(let expected), .listed(let candidates)):
            let (expected, candidates) = (expected.sorted(by: Self.byID), candidates.sorted(by: Self.byID))
            try expect(expected == candidates, "listed \(expected), \(candidates)")
        case (.closed, .closed), (.locked, .locked):
            break
        default:
            throw Difference(description: "\(operation): the model answers \(expected), the server \(answer)")
        }
    }

    private static func byID(_ a: Candidate, _ b: Candidate) -> Bool { a.messageID < b.messageID }

    private func compare(_ expected: [Lease], _ claimed: [Lease]) throws {
        func text(_ lease: Lease) -> String {
            "\(lease.fence.messageID) of \(lease.delivery.enqueuedAt.microseconds) read \(lease.fence.readCount) "
                + "\(lease.size) bytes \(lease.isOversized) \(lease.isUnread) \(lease.history) "
                + "\(lease.body.map { String(decoding: $0, as: UTF8.self) } ?? "-") \(lease.headers ?? [])"
        }
        let (expected, claimed) = (expected.map(text).sorted(), claimed.map(text).sorted())
        try agree(expected, claimed, "claimed")
    }

    /// Compares all that is committed, and takes over the moments of what has changed.
    ///
    /// - Parameter written: when the model wrote it; the server did so between then and its look.
    private mutating func compare(_ state: RealState, written: Timestamp) throws {
        let rows = model.rows.filter { $0.committed != nil }
        try expect(rows.map(\.id) == state.rows.map(\.id), "rows \(rows.map(\.id)), \(state.rows.map(\.id))")
        let slack = state.clock.microseconds - written.microseconds
        for (row, real) in zip(rows, state.rows) {
            guard let version = row.committed else { continue }
            let unchanged = known[row.id] == version
            func agree(_ mine: Timestamp, _ theirs: Timestamp) -> Bool {
                if mine == theirs { return true }
                return !unchanged && mine != .distantPast && theirs != .distantPast
                    && (0...slack).contains(theirs.microseconds - mine.microseconds)
            }
            try expect(
                version.readCount == real.version.readCount && String(decoding: row.body, as: UTF8.self) == real.body
                    && agree(version.vt, real.version.vt) && agree(row.enqueuedAt, real.enqueuedAt)
                    && (!model.settings.hasLastReadAt || agree(version.readAt, real.version.readAt)),
                "row \(row), \(real), within \(slack) µs"
            )
            model.adopt(row.id, enqueuedAt: real.enqueuedAt, real.version)
            known[row.id] = real.version
        }
        try agree(model.journalLines, state.journal, "journal")
        try agree(model.deadLetterLines, state.deadLetters, "dead letters")
        try agree(archived.sorted(), state.archive, "archive")
    }
}
