/// Thrown by a handler whose message no further attempt can help.
public struct DeadLetter: Error, Equatable {
    public var reason: String

    public init(reason: String) {
        self.reason = reason
    }
}
