import Engine

/// What a typed handler may want to know of a message beside its body.
public struct MessageContext: Sendable {
    public let queue: String
    public let id: Int64
    /// This run's number, from 1: one more than the recorded failures.
    public let attempt: Int
    /// Deliveries so far, this one included, by whatever client. Not the number of attempts.
    public let readCount: Int
    public let enqueuedAt: Timestamp
    /// The JSON text of the headers; nil for an SQL NULL. Not necessarily an object.
    public let headers: [UInt8]?
    /// The same for every delivery of this message, and of no other.
    public let idempotencyKey: String

    public init(_ message: Message) {
        queue = message.queue
        id = message.id
        attempt = message.attempt
        readCount = message.readCount
        enqueuedAt = message.enqueuedAt
        headers = message.headers
        idempotencyKey = message.idempotencyKey
    }
}
