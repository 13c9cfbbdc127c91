import Engine
import QueueModel

/// What kind of life a seed leads.
enum Scenario: Equatable {
    /// No faults: nothing may run twice, no lease be lost.
    case calm
    /// Messages that never stop coming, some committed late: none may wait long.
    case load
    /// Messages that kill the process that runs them, and no other faults.
    case poison
    /// Everything at once.
    case storm
}

/// How the handler of one message behaves.
enum Nature: Equatable {
    case good
    /// Fails this many times, then succeeds.
    case flaky(Int)
    case doomed
    case hopeless
    case sleepy(Int)
    case unstartable(Int)
    /// Outlives its deadline once.
    case slow
    /// Takes longer than the visibility timeout.
    case long
    case poison
    case oversized
}

/// Which implementation error is planted. See ``ModelFaults`` and `Floor` for the others.
struct PlantedFault: Equatable {
    var model: ModelFaults = []
    var floorIsExclusive = false
    var neverSweeps = false
    /// The driver tells the flow that an exchange is through when its statements have answered.
    var believesBeforeSync = false
}

/// What a seed decides before anything happens.
struct Plan {
    var scenario: Scenario
    var policy: QueuePolicy
    var settings: QueueModel.Settings
    var daemons: Int
    var actions: Int
    var natures: [(Nature, Int)]

    init(seed: UInt64, fault: PlantedFault, only scenario: Scenario? = nil) {
        var dice = Dice(seed: seed &+ 0x5EED)
        self.scenario = scenario ?? [.calm, .load, .poison, .poison, .storm][dice.index(weights: [2, 1, 1, 2, 14])]
        let timeout = Duration.milliseconds(dice.between(600, 1500))
        policy = QueuePolicy(
            name: "simulated",
            workers: 1 + dice.below(4),
            visibilityTimeout: timeout,
            handlerTimeout: timeout * 3,
            retry: RetryPolicy(maxAttempts: 3, first: .milliseconds(20), max: .milliseconds(300)),
            runsInProcess: dice.chance(60),
            maxMessageBytes: 64,
            maxInflightBytes: [16, 40 << 10, 1 << 20][dice.index(weights: [1, 2, 7])],
            pollInterval: .seconds(3),
            deafPollInterval: .milliseconds(500),
            notStartedDelay: .milliseconds(100)
        )
        // So that some wait for full batches; under load so small ones would be too few.
        if self.scenario != .load, dice.chance(40) { policy.batchLimit = 2 + dice.below(4) }
        settings = QueueModel.Settings(
            visibilityTimeout: timeout,
            maxMessageBytes: policy.maxMessageBytes,
            hasLastReadAt: dice.chance(85),
            isUnlogged: dice.chance(15),
            faults: fault.model
        )
        if policy.runsInProcess { settings.suspectedAfter = policy.maxCrashes - 1 }
        daemons = 3
        actions = 45 + dice.below(30)
        switch self.scenario {
        case .calm:
            natures = [(.good, 10), (.flaky(1), 2), (.hopeless, 1), (.sleepy(2), 1), (.long, 1), (.doomed, 1)]
        case .load:
            natures = [(.good, 1)]
            actions = 90
            policy.handlerTimeout = .seconds(30)
            policy.visibilityTimeout = .seconds(10)
            policy.workers = 2 + dice.below(3)
            policy.maxInflightBytes = 1 << 30
            settings.visibilityTimeout = .seconds(10)
        case .poison:
            policy.runsInProcess = true
            settings.suspectedAfter = policy.maxCrashes - 1
            natures = [(.good, 12), (.flaky(2), 2), (.poison, 2), (.long, 1)]
        case .storm:
            natures = [
                (.good, 12), (.flaky(1), 3), (.flaky(2), 2), (.doomed, 2), (.hopeless, 1), (.sleepy(1), 2),
                (.unstartable(1), 1), (.slow, 1), (.long, 2), (.poison, 1), (.oversized, 1),
            ]
        }
    }

    func nature(_ dice: inout Dice) -> Nature {
        natures[dice.index(weights: natures.map(\.1))].0
    }
}
