/// One queue's rules, as the configuration gave them.
public struct QueuePolicy: Sendable, Equatable {
    public var name: String
    public var workers: Int
    public var visibilityTimeout: Duration
    public var handlerTimeout: Duration
    public var retry: RetryPolicy
    public var maxCrashes: Int
    /// The handler runs inside this process, and can end it.
    public var runsInProcess: Bool
    public var maxMessageBytes: Int
    /// This queue's share of the bytes that may be held.
    public var maxInflightBytes: Int
    /// The safety poll while LISTEN is healthy, and while it is not.
    public var pollInterval: Duration
    public var deafPollInterval: Duration
    /// How long a message waits whose handler could not be started, the first time.
    public var notStartedDelay: Duration
    /// The most that one statement claims or settles. Less is for measuring: batches find their size by themselves.
    public var batchLimit = 500

    /// How long after it was decided a renewal may still change a lease.
    var renewalWindow: Duration { visibilityTimeout / 6 }

    public init(
        name: String,
        workers: Int = 8,
        visibilityTimeout: Duration = .seconds(30),
        handlerTimeout: Duration = .seconds(300),
        retry: RetryPolicy = RetryPolicy(),
        maxCrashes: Int = 3,
        runsInProcess: Bool = false,
        maxMessageBytes: Int = 1 << 20,
        maxInflightBytes: Int = 64 << 20,
        pollInterval: Duration = .seconds(15),
        deafPollInterval: Duration = .seconds(1),
        notStartedDelay: Duration = .seconds(5)
    ) {
        self.name = name
        self.workers = workers
        self.visibilityTimeout = visibilityTimeout
        self.handlerTimeout = handlerTimeout
        self.retry = retry
        self.maxCrashes = maxCrashes
        self.runsInProcess = runsInProcess
        self.maxMessageBytes = maxMessageBytes
        self.maxInflightBytes = maxInflightBytes
        self.pollInterval = min(pollInterval, .seconds(3600))
        self.deafPollInterval = min(deafPollInterval, pollInterval)
        self.notStartedDelay = notStartedDelay
    }
}
