import Engine
import PGMQ

/// One `[[queue]]`.
public struct QueueConfiguration: Sendable, Equatable {
    /// What becomes of a message whose handler is done with it.
    public enum OnSuccess: String, Sendable, CaseIterable {
        case delete
        case archive
    }

    /// As PGMQ knows it: lower-cased.
    public var name: String
    /// As the file has it.
    public var writtenName: String
    public var workers: Int
    public var visibilityTimeout: Duration
    public var handlerTimeout: Duration
    public var retry: RetryPolicy
    /// Deliveries of ours without an outcome, after which a message is dead-lettered without another run.
    public var maxCrashes: Int
    public var onSuccess: OnSuccess
    /// As PGMQ knows it: lower-cased.
    public var deadLetter: String
    /// The safety net while LISTEN is healthy.
    public var pollInterval: Duration
    /// Messages whose body or headers are larger are dead-lettered unseen.
    public var maxMessageBytes: Int
    /// Whether a settlement waits for the disk (`synchronous_commit`).
    public var durable: Bool
    public var handler: HandlerConfiguration

    /// - Parameter name: as the user wrote it; lower-cased as PGMQ does.
    public init(
        name: String,
        workers: Int = 8,
        visibilityTimeout: Duration = .seconds(30),
        handlerTimeout: Duration = .seconds(300),
        retry: RetryPolicy = RetryPolicy(),
        maxCrashes: Int = 3,
        onSuccess: OnSuccess = .delete,
        deadLetter: String? = nil,
        pollInterval: Duration = .seconds(15),
        maxMessageBytes: Int = 1 << 20,
        durable: Bool = true,
        handler: HandlerConfiguration
    ) {
        self.name = QueueName.folded(name)
        self.writtenName = name
        self.workers = workers
        self.visibilityTimeout = visibilityTimeout
        self.handlerTimeout = handlerTimeout
        self.retry = retry
        self.maxCrashes = maxCrashes
        self.onSuccess = onSuccess
        self.deadLetter = QueueName.folded(deadLetter ?? QueueName.deadLetter(of: name))
        self.pollInterval = pollInterval
        self.maxMessageBytes = maxMessageBytes
        self.durable = durable
        self.handler = handler
    }
}
