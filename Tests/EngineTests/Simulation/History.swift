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
    /// One daemon that falls asleep between the messages, and cannot always ask for the doorbell.
    case idle
    /// Handlers that outlast their leases, and renewals that fail for a while.
    case unrenewed
    /// Deletes that change nothing, for a while.
    case swallowed
    /// Rows that no claim can take, and now and then none can be taken at all.
    case refused
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
    /// Takes twice as long, always.
    case outlasting
    case poison
    case oversized
    /// No claim takes its row; it can be copied inside the database.
    case unclaimable
    /// Its row can be neither claimed nor copied.
    case immovable
    /// An update of its row changes nothing.
    case unchangeable

    var trait: RowTrait {
        switch self {
        case .unclaimable: .refusesClaims
        case .immovable: .refusesAll
        case .unchangeable: .swallowsUpdates
        default: .ordinary
        }
    }
}

/// Which implementation error is planted. See ``ModelFaults`` and `Floor` for the others.
struct PlantedFault: Equatable {
    var model: ModelFaults = []
    var floorIsExclusive = false
    var neverSweeps = false
    /// The driver tells the flow that an exchange is through when its statements have answered.
    var believesBeforeSync = false
    /// What the flow does not do.
    var neglects: Neglected?

    /// One mending each, taken out of the flow by its driver.
    enum Neglected: Equatable {
        /// A registration that failed is taken for one that succeeded.
        case failedRegistration
        /// A renewal that failed stops no claim.
        case failedRenewal
        /// A refused settlement is a lost lease, whether or not the row still carries the fence.
        case keptRows
        /// A refused claim is repeated as it was.
        case refusedClaims
    }
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
        self.scenario = scenario ?? Self.draw(&dice)
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
            faults: fault.model,
            trait: Ledger.trait(of:)
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
                (.unstartable(1), 1), (.slow, 1), (.long, 2), (.poison, 1), (.oversized, 1), (.unclaimable, 1),
            ]
        case .idle:
            natures = [(.good, 1)]
            daemons = 1
            actions = 12
        case .unrenewed:
            natures = [(.outlasting, 1)]
            policy.runsInProcess = false
            settings.suspectedAfter = .max
            daemons = 1
            actions = 10
        case .swallowed:
            natures = [(.good, 4), (.hopeless, 1)]
            policy.runsInProcess = false
            settings.suspectedAfter = .max
        case .refused:
            natures = [(.good, 24), (.unclaimable, 1), (.immovable, 1), (.unchangeable, 1)]
        }
    }

    private static func draw(_ dice: inout Dice) -> Scenario {
        let all: [(Scenario, Int)] = [
            (.calm, 4), (.load, 2), (.poison, 6), (.storm, 28), (.idle, 2), (.unrenewed, 1), (.swallowed, 2),
            (.refused, 3),
        ]
        return all[dice.index(weights: all.map(\.1))].0
    }

    func nature(_ dice: inout Dice) -> Nature {
        natures[dice.index(weights: natures.map(\.1))].0
    }
}
