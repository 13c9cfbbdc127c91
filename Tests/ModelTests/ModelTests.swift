import Foundation
import QueueModel
import Synchronization
import Testing

/// The simulation is worth as much as its model of the queue: here it stands beside a real server.
///
/// `PGMQD_MODEL_SEEDS` says how many lists of operations are executed by both; `PGMQD_MODEL_SEED` replays one, and tells
/// what was done.
@Suite(.serialized) struct ModelTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test func `the simulation's queue does what a real one does`() async throws {
        if let seed = Self.number("PGMQD_MODEL_SEED") {
            let failures = try await Contests.run(seeds: seed..<(seed + 1), lanes: 1)
            for failure in failures { Issue.record("\(failure.text)\n\(failure.story.joined(separator: "\n"))") }
            return
        }
        let failures = try await Contests.run(seeds: 0..<(Self.number("PGMQD_MODEL_SEEDS") ?? 400), lanes: 4)
        for failure in failures.prefix(5) {
            Issue.record("PGMQD_MODEL_SEED=\(failure.seed): \(failure.text)\n\(failure.story.last ?? "")")
        }
        #expect(failures.count == 0)
    }

    @Test(arguments: [ModelFaults.noFence, .readCountFence, .duplicatedJournalRow, .loweringRenewal])
    func `a queue that is simulated wrongly is found out`(_ fault: ModelFaults) async throws {
        let failures = try await Contests.run(seeds: 0..<100, lanes: 1, faults: fault, untilFailure: true)
        #expect(failures.contains { $0.isDifference })
    }
}

/// Many contests, side by side.
enum Contests {
    struct Failure: Sendable {
        let seed: UInt64
        let text: String
        let isDifference: Bool
        let story: [String]
    }

    static func run(
        seeds: Range<UInt64>,
        lanes: Int,
        faults: ModelFaults = [],
        untilFailure: Bool = false
    ) async throws -> [Failure] {
        let tickets = Tickets(seeds)
        return try await withThrowingTaskGroup { group in
            for _ in 0..<lanes {
                group.addTask {
                    let lane = try await Lane()
                    var failures: [Failure] = []
                    while let seed = tickets.next(), !untilFailure || failures.isEmpty {
                        if let failure = await run(seed: seed, lane, faults) { failures.append(failure) }
                    }
                    await lane.close()
                    return failures
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }.sorted { $0.seed < $1.seed }
        }
    }

    private static func run(seed: UInt64, _ lane: Lane, _ faults: ModelFaults) async -> Failure? {
        var story: [String] = []
        do {
            var contest = try await Contest(seed: seed, lane: lane, faults: faults)
            defer { story = contest.story }
            try await contest.run(steps: 60)
            return nil
        } catch {
            return Failure(seed: seed, text: "\(error)", isDifference: error is Difference, story: story)
        }
    }

    private final class Tickets: Sendable {
        private let rest: Mutex<Range<UInt64>>

        init(_ seeds: Range<UInt64>) {
            rest = Mutex(seeds)
        }

        func next() -> UInt64? {
            rest.withLock { $0.popFirst() }
        }
    }
}
