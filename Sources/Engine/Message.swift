/// A moment on the database server's clock, in microseconds since 1970-01-01 00:00:00 UTC.
///
/// Server time is only ever compared with server time: a lease's end on this side is an ``Instant``.
public struct Timestamp: Sendable, Hashable, Comparable {
    public var microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public static let distantPast = Timestamp(microseconds: .min)

    public static func < (a: Timestamp, b: Timestamp) -> Bool {
        a.microseconds < b.microseconds
    }
}

/// One message as a handler sees it.
public struct Message: Sendable {
    public let queue: String
    public let id: Int64
    /// Deliveries so far, this one included, by whatever client. Not the number of attempts.
    public let readCount: Int
    public let enqueuedAt: Timestamp
    /// The JSON text as the server sent it, byte for byte; nil for an SQL NULL.
    public let body: [UInt8]?
    /// The JSON text of the headers; nil for an SQL NULL. Not necessarily an object.
    public let headers: [UInt8]?
    /// This run's number, from 1: one more than the recorded failures.
    public let attempt: Int

    public init(
        queue: String,
        id: Int64,
        readCount: Int,
        enqueuedAt: Timestamp,
        body: [UInt8]?,
        headers: [UInt8]?,
        attempt: Int
    ) {
        self.queue = queue
        self.id = id
        self.readCount = readCount
        self.enqueuedAt = enqueuedAt
        self.body = body
        self.headers = headers
        self.attempt = attempt
    }

    package func with(_ content: Content) -> Message {
        Message(
            queue: queue,
            id: id,
            readCount: readCount,
            enqueuedAt: enqueuedAt,
            body: content.body,
            headers: content.headers,
            attempt: attempt
        )
    }
}
