import Foundation
import Synchronization
import Testing

/// Random histories of several daemons against a model of the queue, thousands of them.
///
/// `PGMQD_SEEDS` says how many (10,000); `PGMQD_SEED` replays one, and tells what happened in it.
@Suite struct SimulationTests {
    static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test func nothingEverGoesWrong() async {
        if let seed = Self.number("PGMQD_SEED") {
            var world = World(seed: seed, traced: true)
            let violation = world.run()
            let story = (world.trace?.lines ?? []).joined(separator: "\n")
            #expect(violation == nil, "seed \(seed), \(world.plan.scenario)\n\(story)")
            return
        }
        let failures = await Seeds.run(count: Self.number("PGMQD_SEEDS") ?? 10_000)
        for failure in failures.prefix(5) {
            Issue.record("PGMQD_SEED=\(failure.seed) (\(failure.scenario)): \(failure.violation)")
        }
        #expect(failures.count == 0)
    }
}

/// Runs seeds on two threads, in the order of their numbers.
final class Seeds: Sendable {
    struct Failure: Sendable {
        let seed: UInt64
        let scenario: String
        let violation: String
    }

    /// Not those of the pool, where every other test would wait for the last history; and two for all simulations, which
    /// in greater number wait for the runtime's locks.
    private static let threads = {
        let threads = OperationQueue()
        threads.maxConcurrentOperationCount = 2
        return threads
    }()

    private let count: UInt64
    private let next = Atomic<UInt64>(0)
    private let failures = Mutex<[Failure]>([])

    private init(count: UInt64) {
        self.count = count
    }

    /// - Parameter finding: enough, once it is found.
    static func run(
        count: UInt64,
        fault: PlantedFault = PlantedFault(),
        only scenario: Scenario? = nil,
        until finding: String? = nil
    ) async -> [Failure] {
        let seeds = Seeds(count: count)
        await withDiscardingTaskGroup { group in
            for _ in 0..<2 {
                group.addTask {
                    await withCheckedContinuation { done in
                        threads.addOperation {
                            seeds.work(fault, scenario, until: finding)
                            done.resume()
                        }
                    }
                }
            }
        }
        return seeds.failures.withLock { $0.sorted { $0.seed < $1.seed } }
    }

    private func work(_ fault: PlantedFault, _ scenario: Scenario?, until finding: String?) {
        while true {
            let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard seed < count else { return }
            var world = World(seed: seed, fault: fault, only: scenario)
            guard let violation = world.run() else { continue }
            let failure = Failure(seed: seed, scenario: "\(world.plan.scenario)", violation: violation)
            failures.withLock { $0.append(failure) }
            if let finding, violation.contains(finding) { next.store(count, ordering: .relaxed) }
        }
    }
}
