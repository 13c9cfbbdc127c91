/// Thrown by a handler whose attempt failed and should be tried again after this long, whatever the queue's policy.
public struct Retry: Error, Equatable {
    public var after: Duration
    public var reason: String

    public init(after: Duration, reason: String) {
        self.after = after
        self.reason = reason
    }
}
