import Engine
import QueueModel

/// One process: a flow, and as much of the shell around it as there is to get wrong.
struct SimulatedDaemon {
    struct Run {
        var token: Int
        var serial: Int
        var endsAt: Int64
        var isCancelled = false
    }

    static let pumps = 2

    var flow: Flow
    /// The daemon's identity in the journal: another one after each start.
    var incarnation: Int
    var isUp = true
    /// Stopped like by SIGSTOP: nothing reaches it until then.
    var pausedUntil: Int64 = 0
    /// Cut off from the database until then.
    var cutUntil: Int64 = 0
    /// Told to stop: how long its handlers may go on.
    var stopUntil: Int64?
    /// Could not close its phantoms' rows before it ended.
    var leavesPhantoms = false
    /// Producers ring for it: it holds the queue's lock.
    var isRegistered = false
    var idlePumps = Self.pumps
    var renewerIsIdle = true
    var idleWorkers: [Int]
    var runs: [Run?]
    var armed: Int64?
    /// Setting the timer anew takes the former time away.
    var alarmSerial = 0
    /// Alarms at one and the same moment: a timer that fires again at once burns the processor.
    var alarmsAtOnce = 0
    var lastAlarm: Int64 = -1

    init(policy: QueuePolicy, incarnation: Int, seed: UInt64, fault: PlantedFault) {
        flow = Flow(policy: policy, seed: seed)
        if fault.floorIsExclusive { flow.floor.isExclusive = true }
        if fault.neverSweeps { flow.floor.neverSweeps = true }
        self.incarnation = incarnation
        idleWorkers = Array((0..<policy.workers).reversed())
        runs = Array(repeating: nil, count: policy.workers)
    }

    /// Mutating, so that the flow is looked at where it lies: a copy of it for each event is most of the work.
    mutating func afterwards() -> (isFinished: Bool, alarm: Instant?) {
        _ = flow.takeNews()
        return (flow.isFinished, flow.nextAlarm())
    }
}

/// A daemon's request to the database, on its way.
struct Call {
    enum Request {
        case exchange(Exchange)
        case renew(RenewalOrder)
        case closePhantoms([Delivery])
        case register
        case unregister
        case probe([Int64])
        case list(Claim)
        case watch([Int64])
    }

    enum Fate: Equatable {
        case served
        /// Never reaches the server.
        case lost
        /// Is carried out, and nobody hears of it.
        case replyLost
        /// The client has given up long before the server comes to it.
        case late
        /// Fails when everything has answered but the commit.
        case failsAtCommit(QueueFailure)
    }

    let daemon: Int
    let incarnation: Int
    let request: Request
    let sent: Int64
    let fate: Fate
    var epoch = 0
    var transaction = 0
    var answer: Answer?
    var clock = Timestamp(microseconds: 0)
    var failure: QueueFailure?
    var waits = 0

    var exchange: Exchange? {
        if case .exchange(let exchange) = request { exchange } else { nil }
    }
}
