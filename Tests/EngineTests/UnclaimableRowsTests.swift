import Engine
import Testing

/// A queue's rows, and what the database says of claims and copies of them.
private struct Table {
    var flow: Flow
    var rows: [Int64]
    var refusal: @Sendable (Int64) -> QueueFailure? = { _ in nil }
    /// Updates of these change nothing.
    var swallowed: Set<Int64> = []
    /// Rows that cannot be copied, either.
    var uncopied: Set<Int64> = []
    private(set) var now = 0.0
    /// Claims of one row by its id: when, and of which.
    private(set) var looks: [(at: Double, id: Int64)] = []
    private(set) var claims = 0
    private(set) var named: [Int64: String] = [:]
    private(set) var letters: [(at: Double, id: Int64, reason: String)] = []
    private(set) var copies = 0
    private(set) var news: [UnclaimableNews] = []
    /// What the log says of pauses, one after the other.
    private(set) var pauses: [String] = []

    init(_ rows: [Int64], workers: Int = 20) {
        flow = Flow(policy(workers: workers))
        self.rows = rows
    }

    var done: Int { flow.counters.done }
    var pause: String? { flow.snapshot(now: at(now)).paused }

    /// Does all there is to do until then, in steps of this many milliseconds.
    mutating func play(until end: Double, step: Double = 50) {
        while now < end {
            now += step
            _ = flow.tick(now: at(now))
            while let job = flow.nextJob(now: at(now)) { answer(job) }
            for worker in 0..<flow.policy.workers where flow.begin(worker, now: now) != nil {
                flow.end(worker, .done, now: now)
            }
            while let job = flow.nextJob(now: at(now)) { answer(job) }
            if let pause, pauses.last != pause { pauses.append(pause) }
            news += flow.takeNews()?.unclaimable ?? []
        }
    }

    private func found(_ claim: Claim) -> [Int64] {
        if case .only(let ids) = claim.reach { return rows.filter(ids.contains) }
        return Array(rows.filter { !claim.passingOver.contains($0) }.prefix(claim.limit))
    }

    private mutating func answer(_ job: Job) {
        switch job {
        case .exchange(let exchange): answer(exchange)
        case .list(let claim): flow.listed(.success(found(claim).map(candidate)), now: at(now))
        case .closePhantoms: flow.closedPhantoms(nil, now: at(now))
        case .register: flow.registered(false, now: at(now))
        case .unregister: flow.unregistered()
        case .probe(_, let passedOver):
            let isVisible = rows.contains { !passedOver.contains($0) }
            flow.probed(Probe(hasVisible: isVisible, nextDue: nil, hasWriters: false), now: at(now))
        case .watch(let passedOver):
            let isVisible = rows.contains { !passedOver.contains($0) }
            flow.watched(isVisible ? .free : .nothing, took: .zero, now: at(now))
        }
    }

    private mutating func answer(_ exchange: Exchange) {
        var result = ExchangeResult(clock: clock(now), sent: at(now))
        if let claim = exchange.claim {
            claims += 1
            if case .only(let ids) = claim.reach, ids.count == 1 { looks.append((now, ids[0])) }
            let found = found(claim)
            if let failure = found.lazy.compactMap(refusal).first {
                return flow.failed(exchange, failure, now: at(now))
            }
            result.claimed = found.filter { !swallowed.contains($0) }.map { lease($0) }
            if case .only = claim.reach { result.swallowed = swallowed.intersection(found) }
            rows.removeAll { found.contains($0) && !swallowed.contains($0) }
        }
        switch exchange.unclaimable {
        case .mark(let marks):
            for mark in marks { named[mark.candidate.messageID] = mark.reason }
        case .deadLetter(let candidate, let reason):
            copies += 1
            if uncopied.contains(candidate.messageID) {
                return flow.failed(exchange, .rejected("no copy"), now: at(now))
            }
            result.moved = true
            rows.removeAll { $0 == candidate.messageID }
            letters.append((now, candidate.messageID, reason))
        case nil:
            break
        }
        flow.completed(exchange, result, now: at(now))
    }
}

private func candidate(_ id: Int64) -> Candidate {
    Candidate(messageID: id, readCount: 0, enqueuedAt: clock(-1000), lastReadAt: nil)
}

extension Job {
    fileprivate var named: [Int64]? {
        if case .only(let ids) = claim?.reach { ids } else { nil }
    }

    fileprivate var listed: Claim? {
        if case .list(let claim) = self { claim } else { nil }
    }

    fileprivate var marks: [UnclaimableOrder.Mark]? {
        if case .mark(let marks) = exchange?.unclaimable { marks } else { nil }
    }
}

/// Rows that no claim can take.
@Suite struct UnclaimableRowsTests {
    private static let refusal = QueueFailure.rejected("out of range")

    private static func refusing(_ bad: Set<Int64>) -> @Sendable (Int64) -> QueueFailure? {
        { bad.contains($0) ? refusal : nil }
    }

    @Test func aRefusedClaimIsTakenApartUntilTheRowIsFound() {
        var flow = Flow(policy(workers: 8))
        flow.fail(flow.nextJob(now: at(0)), Self.refusal, now: 1)
        let list = flow.nextJob(now: at(1))
        #expect(list?.listed?.limit == 8)
        #expect(flow.nextJob(now: at(1)) == nil, "nothing is claimed meanwhile")
        flow.listed(.success((1...4).map(candidate)), now: at(2))

        var job = flow.nextJob(now: at(2))
        #expect(job?.named == [1, 2, 3, 4])
        flow.fail(job, Self.refusal, now: 3)
        job = flow.nextJob(now: at(3))
        #expect(job?.named == [1, 2])
        flow.answer(job, [lease(1), lease(2)], now: 4)
        job = flow.nextJob(now: at(4))
        #expect(job?.named == [3, 4])
        flow.fail(job, Self.refusal, now: 5)
        job = flow.nextJob(now: at(5))
        #expect(job?.named == [3])
        flow.fail(job, Self.refusal, now: 6)
        job = flow.nextJob(now: at(6))
        #expect(job?.named == [4])
        #expect(flow.takeNews() == nil, "it may still turn out to be common to all")
        flow.answer(job, [lease(4)], now: 7)
        let mark = flow.nextJob(now: at(7))
        #expect(mark?.marks?.map(\.candidate.messageID) == [3])
        #expect(mark?.marks?.map(\.reason) == ["out of range"])
        flow.answer(mark, now: 8)

        #expect(flow.takeNews()?.unclaimable.map(\.messageID) == [3])
        #expect(flow.snapshot(now: at(8)).paused == nil)
        #expect(flow.nextJob(now: at(8))?.claim?.passingOver == [3])
        #expect((0..<4).map { flow.begin($0, now: 8) } == [1, 2, 4, nil])
    }

    @Test func oneOfFiveHundredHoldsNobodyBack() {
        var table = Table(Array(1...500), workers: 500)
        table.refusal = Self.refusing([317])
        table.play(until: 50)
        #expect(table.done == 499)
        #expect(table.claims <= 25, "nine halvings, and both halves of each")
        #expect(table.named == [317: "out of range"])
        #expect(table.news.map(\.messageID) == [317])
        table.rows += 501...510
        table.flow.hint(.notified, now: at(51))
        table.play(until: 100)
        #expect(table.done == 509)
        #expect(table.pause == nil)
    }

    @Test func looksGrowRarer() {
        var table = Table([1])
        table.refusal = Self.refusing([1])
        table.play(until: 50_000)
        let times = table.looks.map(\.at)
        let waits = zip(times.dropFirst(), times).map { ($0 - $1) / 1000 }
        #expect(waits.prefix(6) == [1, 2, 4, 8, 10, 10])
        #expect(table.news.count == 1, "it is told once")
    }

    /// A trigger that raises for a moment condemns nobody.
    @Test func onlyARowThatIsRefusedForAMinuteWhileOthersPassIsDeadLettered() {
        var table = Table([1, 2, 3])
        table.refusal = Self.refusing([2])
        table.play(until: 59_000)
        #expect(table.letters.isEmpty)
        table.play(until: 75_000)
        #expect(table.letters.map(\.id) == [2])
        #expect(table.letters.map(\.reason) == ["unclaimable: out of range"])
        #expect(table.letters.allSatisfy { $0.at >= 60_000 })
        #expect(table.flow.counters.deadLettered == 1)
        #expect(table.rows.isEmpty)
        let claims = table.looks.count
        table.play(until: 120_000)
        #expect(table.looks.count == claims)

        var alone = Table([1])
        alone.refusal = Self.refusing([1])
        alone.play(until: 300_000, step: 200)
        #expect(alone.letters.isEmpty, "nothing shows that others pass")
        alone.rows.append(2)
        alone.flow.hint(.notified, now: at(300_000))
        alone.play(until: 320_000)
        #expect(alone.done == 1)
        #expect(alone.letters.map(\.id) == [1])
    }

    @Test func manyThatAreAllRefusedHaveOneCause() {
        var table = Table(Array(1...20))
        table.refusal = { _ in Self.refusal }
        table.play(until: 30_000)
        #expect(table.pause == "out of range")
        #expect(table.named.isEmpty)
        #expect(table.news.isEmpty)
        #expect(table.claims < 120, "a search, a pause that grows, and so on")
        table.refusal = { _ in nil }
        table.play(until: 45_000)
        #expect(table.done == 20)
        #expect(table.pause == nil)
        #expect(table.letters.isEmpty)
    }

    /// What comes later waits for no pause.
    @Test func fewThatAreAllRefusedArePassedOver() {
        var table = Table(Array(1...8))
        let bad = Set(table.rows)
        table.refusal = Self.refusing(bad)
        table.play(until: 1000)
        #expect(Set(table.named.keys) == bad)
        #expect(table.pause == nil)
        table.rows.append(9)
        table.flow.hint(.notified, now: at(1000))
        table.play(until: 1100)
        #expect(table.done == 1)
    }

    /// What refused one of them may be over for the others, too.
    @Test func oneThatCanBeClaimedAgainBringsTheOthers() {
        var table = Table(Array(1...8))
        table.refusal = Self.refusing(Set(table.rows))
        table.play(until: 40_000)
        table.refusal = { _ in nil }
        let before = table.looks.count
        table.play(until: 51_000)
        #expect(table.done == 8)
        #expect(table.looks.count == before + 8)
        #expect(Set(table.looks.dropFirst(before).map(\.at)).count <= 2, "with the first one that is due")
        #expect(table.named.isEmpty, "they are struck out")
    }

    @Test func whatCannotBeCopiedStaysAndIsLookedAtSlowly() {
        var table = Table([1, 2, 3])
        table.refusal = Self.refusing([2])
        table.uncopied = [2]
        table.play(until: 100_000)
        #expect(table.rows == [2])
        #expect(table.named == [2: "no copy"])
        #expect(table.news.map(\.staysForGood) == [false, true], "it is told once more")
        let (looks, copies) = (table.looks.count, table.copies)
        #expect(copies == 1)
        table.play(until: 3_600_000, step: 1000)
        #expect(table.looks.count + table.copies - looks - copies <= 6)
        #expect(table.copies > copies)
        #expect(table.news.count == 2)
        #expect(table.rows == [2])
        // Somebody has mended it.
        table.refusal = { _ in nil }
        table.play(until: 5_400_000, step: 1000)
        #expect(table.done == 3)
        #expect(table.named.isEmpty)
    }

    @Test func aRowWhoseUpdateIsSwallowedIsFoundByALook() {
        var table = Table([1, 2, 3])
        table.swallowed = [2]
        table.play(until: 30_000)
        #expect(table.done == 2)
        #expect(table.named[2]?.contains("swallows") == true)
        table.rows.append(4)
        table.flow.hint(.notified, now: at(30_000))
        table.play(until: 120_000)
        #expect(table.done == 3)
        #expect(table.letters.map(\.id) == [2])
    }

    @Test func manyWhoseUpdatesAreSwallowedHaveOneCause() {
        var table = Table(Array(1...20))
        table.swallowed = Set(table.rows)
        table.play(until: 30_000)
        #expect(table.pauses == ["claims change no row, because a trigger or a policy swallows every update"])
        #expect(table.named.isEmpty)
        table.swallowed = []
        table.play(until: 60_000)
        #expect(table.done == 20)
    }

    @Test func aRowThatIsGoneIsForgotten() {
        var table = Table([1, 2])
        table.refusal = Self.refusing([2])
        table.play(until: 500)
        #expect(table.named.keys.sorted() == [2])
        table.rows = []
        table.play(until: 20_000)
        #expect(table.named.isEmpty)
        let looks = table.looks.count
        table.play(until: 200_000)
        #expect(table.looks.count == looks)
        #expect(table.letters.isEmpty)
    }

    /// The server's absence says nothing of rows.
    @Test func anOutageEndsTheSearch() {
        var flow = Flow(policy(workers: 8))
        flow.fail(flow.nextJob(now: at(0)), Self.refusal, now: 1)
        #expect(flow.nextJob(now: at(1))?.listed != nil)
        flow.listed(.success((1...4).map(candidate)), now: at(2))
        flow.fail(flow.nextJob(now: at(2)), .unavailable("gone"), now: 3)
        #expect(flow.nextJob(now: at(3)) == .closePhantoms(holding: []))
        flow.closedPhantoms(nil, now: at(4))
        #expect(flow.takeNews() == nil)
        let claim = flow.nextJob(now: at(2000))?.claim
        #expect(claim?.passingOver == [])
        #expect(claim?.limit == 8)
    }
}
