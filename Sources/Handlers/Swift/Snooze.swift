/// Thrown by a handler that cannot do the work now. It gets the message again after this long; no attempt is spent.
public struct Snooze: Error, Equatable {
    public var duration: Duration

    public init(for duration: Duration) {
        self.duration = duration
    }
}
