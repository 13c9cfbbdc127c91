/// One row as a look saw it, without its body. Nobody has a lease of it.
public struct Candidate: Sendable, Hashable {
    public let messageID: Int64
    public let readCount: Int32
    public let enqueuedAt: Timestamp
    /// nil where the column is missing or empty.
    public let lastReadAt: Timestamp?

    public init(messageID: Int64, readCount: Int32, enqueuedAt: Timestamp, lastReadAt: Timestamp?) {
        self.messageID = messageID
        self.readCount = readCount
        self.enqueuedAt = enqueuedAt
        self.lastReadAt = lastReadAt
    }
}

/// Finds the rows that no claim can take, passes them over, and has them dead-lettered unread.
///
/// | state | what happens | can become |
/// | --- | --- | --- |
/// | calm | claims take what they find | listing |
/// | listing | the rows that the refused claim would have taken are listed | halving, calm |
/// | halving | they are claimed by their ids, each refused group in halves | calm |
///
/// A row that is refused alone is passed over by its id: a whole batch shares one `vt`, so no floor separates it from the
/// others. It is looked at again, more rarely each time. Whether the refusal is the row's own is observed: once others
/// have been claimed meanwhile and the refusals have lasted for ``proof``, the row is dead-lettered by a copy inside the
/// database. Three rows refused in a row while none of many passes have a common cause, which is no row's: then the search
/// ends, nothing is passed over, and the queue pauses. Of few rows each is passed over, so that a message that comes later
/// waits for no pause.
struct UnclaimableRows: Sendable {
    enum State: Sendable, Equatable {
        case calm
        case listing(Claim)
        /// Groups still to be claimed, the next one last. Empty while the last one is under way.
        case halving([[Candidate]])
    }

    /// A row that is passed over.
    struct Row: Sendable, Equatable {
        var candidate: Candidate
        var reason: String
        var firstRefused: Instant
        var lastRefused: Instant
        var nextLook: Instant
        var looks = 0
        /// Others have been claimed since it was first refused.
        var isOwnFault = false
        /// It could not be copied, either.
        var staysForGood = false
        var isTold = false
    }

    /// What is to be done next.
    enum Step: Sendable, Equatable {
        case list(Claim)
        case claim([Candidate])
        case move(Candidate, reason: String)
    }

    /// So long a row must have been refused before it is dead-lettered: a trigger that raises for a moment condemns
    /// nobody.
    static let proof: Duration = .seconds(60)
    static let mostLookDelay: Duration = .seconds(10)
    static let mostFinalDelay: Duration = .seconds(600)
    /// More of them are no single rows any more.
    static let limit = 1000
    /// So many rows refused alone, none having passed, have one cause.
    private static let common = 3
    /// Of them, and so many more from elsewhere in the list: bad rows that came together lie together.
    private static let elsewhere = 3
    /// So few rows are looked at one by one in any case.
    private static let few = 16

    private(set) var state = State.calm
    private(set) var rows: [Int64: Row] = [:]
    /// Rows refused alone in this search while nothing passed.
    private var refusedAlone: [Candidate] = []
    private var listedCount = 0
    /// The search under way has claimed something.
    private var hasPassed = false
    private var isAsking = false
    /// What the next write to the journal has to tell: rows to name, and rows to name no more.
    private(set) var untold: Set<Int64> = []
    private(set) var recovered: [Candidate] = []
    /// Something is to be logged.
    private(set) var hasNews = false

    var isSearching: Bool { state != .calm }
    var isFull: Bool { rows.count > Self.limit }

    /// The ids that claims and looks pass over, in order.
    var passedOver: [Int64] { rows.keys.sorted() }

    // MARK: - What to do

    /// - Parameter room: how many messages may be claimed now.
    mutating func step(room: Int, now: Instant) -> Step? {
        guard !isAsking else { return nil }
        switch state {
        case .listing(let claim):
            isAsking = true
            return .list(claim)
        case .halving(var groups):
            guard room > 0, var group = groups.popLast() else { return nil }
            if refusedAlone.count >= Self.common, listedCount > Self.few, let elsewhere = Self.take(&groups, &group) {
                state = .halving(groups)
                isAsking = true
                return .claim([elsewhere])
            }
            if group.count > room {
                groups.append(Array(group[room...]))
                group = Array(group[..<room])
            }
            state = .halving(groups)
            isAsking = true
            return .claim(group)
        case .calm:
            guard let row = rows.values.filter({ $0.nextLook <= now }).min(by: { $0.nextLook < $1.nextLook }) else {
                return nil
            }
            let isDue = row.isOwnFault && row.lastRefused - row.firstRefused >= Self.proof
            // A row that could not be moved is tried as an ordinary one in between.
            if isDue, !row.staysForGood || row.looks % 2 == 1 {
                isAsking = true
                return .move(row.candidate, reason: row.reason)
            }
            guard room > 0 else { return nil }
            isAsking = true
            return .claim([row.candidate])
        }
    }

    /// Takes a row that is far from those that were refused, which may be the only bad ones: from the middle of what was
    /// listed last.
    private static func take(_ groups: inout [[Candidate]], _ group: inout [Candidate]) -> Candidate? {
        groups.append(group)
        let first = groups.removeFirst()
        var rest = first
        let taken = rest.remove(at: first.count / 2)
        if !rest.isEmpty { groups.insert(rest, at: 0) }
        return taken
    }

    /// When ``step(room:now:)`` may next have something, if nothing happens before.
    var nextStep: Instant? {
        isAsking || isSearching ? nil : rows.values.lazy.map(\.nextLook).min()
    }

    // MARK: - What happened

    /// A claim was refused, or found nothing where a look sees something.
    mutating func search(_ claim: Claim) {
        guard state == .calm else { return }
        state = .listing(claim)
        refusedAlone = []
        hasPassed = false
    }

    /// Any other claim brought something.
    mutating func othersPassed() {
        guard !rows.isEmpty else { return }
        for id in rows.keys { rows[id]?.isOwnFault = true }
    }

    mutating func listed(_ candidates: [Candidate]) {
        isAsking = false
        let candidates = candidates.filter { rows[$0.messageID] == nil }
        listedCount = candidates.count
        state = candidates.isEmpty ? .calm : .halving([candidates])
    }

    /// The claim of a group went through.
    ///
    /// - Parameter swallowed: rows that it locked and could not change, because a trigger or a policy swallows the update.
    /// - Returns: whether the cause is common to all rows.
    mutating func claimed(_ group: [Candidate], found: Set<Int64>, swallowed: Set<Int64>, now: Instant) -> Bool {
        isAsking = false
        if !found.isEmpty {
            refusedAlone = []
            hasPassed = isSearching
            for id in rows.keys where !found.contains(id) { rows[id]?.isOwnFault = true }
            // What refused one of them may be over for the others, too.
            if group.contains(where: { rows[$0.messageID] != nil }) {
                for id in rows.keys where rows[id]?.staysForGood == false { rows[id]?.nextLook = now }
            }
        }
        for candidate in group {
            if swallowed.contains(candidate.messageID) {
                refusedAlone(
                    candidate,
                    "an update changes nothing, because a trigger or a policy swallows it",
                    now: now
                )
            } else {
                // It is claimed, or gone, or another client is at it.
                forget(candidate.messageID)
            }
        }
        return endsInCommonCause()
    }

    /// - Returns: whether the cause is common to all rows.
    mutating func refused(_ group: [Candidate], reason: String, now: Instant) -> Bool {
        isAsking = false
        guard group.count == 1 else {
            if case .halving(var groups) = state {
                groups.append(Array(group[(group.count / 2)...]))
                groups.append(Array(group[..<(group.count / 2)]))
                state = .halving(groups)
            }
            return false
        }
        refusedAlone(group[0], reason, now: now)
        return endsInCommonCause()
    }

    /// The call itself failed, and says nothing of the rows.
    mutating func failed() {
        isAsking = false
        state = .calm
        refusedAlone = []
    }

    /// - Parameter isGone: the row is in the dead-letter queue now, or was not to be had: locked, changed, deleted.
    mutating func moved(_ candidate: Candidate, isGone: Bool, now: Instant) {
        isAsking = false
        if isGone {
            rows[candidate.messageID] = nil
            untold.remove(candidate.messageID)
        } else {
            forget(candidate.messageID)
        }
    }

    /// The copy was refused, or the delete swallowed: the row stays where it is, for good or until somebody mends it.
    mutating func couldNotMove(_ candidate: Candidate, reason: String, now: Instant) {
        isAsking = false
        guard var row = rows[candidate.messageID] else { return }
        if !row.staysForGood {
            row.isTold = false
            hasNews = true
        }
        row.staysForGood = true
        row.reason = reason
        row.looks += 1
        row.nextLook = now + Self.mostFinalDelay
        rows[candidate.messageID] = row
        untold.insert(candidate.messageID)
    }

    /// The move was not tried, for a reason that is not the row's.
    mutating func postpone(_ candidate: Candidate, until next: Instant) {
        rows[candidate.messageID]?.nextLook = next
    }

    mutating func told(_ ids: Set<Int64>, recovered count: Int) {
        untold.subtract(ids)
        recovered.removeFirst(min(count, recovered.count))
    }

    /// For the log, once for each row, and once more for one that cannot be moved.
    mutating func takeNews() -> [UnclaimableNews] {
        let news = rows.values.filter { !$0.isTold }.sorted { $0.candidate.messageID < $1.candidate.messageID }
        for row in news { rows[row.candidate.messageID]?.isTold = true }
        hasNews = false
        return news.map {
            UnclaimableNews(messageID: $0.candidate.messageID, reason: $0.reason, staysForGood: $0.staysForGood)
        }
    }

    /// The server is another one, or the queue.
    mutating func reset() {
        isAsking = false
        state = .calm
        refusedAlone = []
    }

    private mutating func passOver(_ candidate: Candidate, _ reason: String, now: Instant) {
        var row =
            rows[candidate.messageID]
            ?? Row(candidate: candidate, reason: reason, firstRefused: now, lastRefused: now, nextLook: now)
        if row.candidate != candidate { row.firstRefused = now }
        if isSearching, hasPassed { row.isOwnFault = true }
        row.candidate = candidate
        row.reason = reason
        row.lastRefused = now
        row.looks += 1
        if isFull { state = .calm }
        var delay = Duration.seconds(1)
        for _ in 1..<max(2, min(row.looks, 10)) where row.looks > 1 { delay = delay * 2 }
        let isProven = row.isOwnFault && row.lastRefused - row.firstRefused >= Self.proof
        delay = row.staysForGood ? Self.mostFinalDelay : isProven ? .zero : min(delay, Self.mostLookDelay)
        row.nextLook = now + delay
        if !row.isTold { hasNews = true }
        let isNamed = rows[candidate.messageID].map { $0.reason == reason && $0.candidate == candidate } ?? false
        rows[candidate.messageID] = row
        if !isNamed { untold.insert(candidate.messageID) }
    }

    private mutating func forget(_ id: Int64) {
        guard let row = rows.removeValue(forKey: id) else { return }
        // Only what was written down is to be struck out.
        if !untold.contains(id) || row.looks > 1 { recovered.append(row.candidate) }
        untold.remove(id)
    }

    private mutating func refusedAlone(_ candidate: Candidate, _ reason: String, now: Instant) {
        if rows[candidate.messageID] == nil { refusedAlone.append(candidate) }
        passOver(candidate, reason, now: now)
    }

    private mutating func endsInCommonCause() -> Bool {
        if refusedAlone.count >= Self.common + Self.elsewhere, listedCount > Self.few {
            for candidate in refusedAlone { forget(candidate.messageID) }
            refusedAlone = []
            state = .calm
            return true
        }
        if case .halving(let groups) = state, groups.isEmpty { state = .calm }
        return false
    }
}
