/// Delays that grow by half each time, with full jitter on the upper half, so that many daemons do not come in step.
public struct Backoff: Sendable, Equatable {
    public var first: Duration
    public var max: Duration

    public init(first: Duration = .milliseconds(100), max: Duration = .seconds(5)) {
        self.first = first
        self.max = max
    }

    /// - Parameter number: failures in a row, from 1.
    /// - Parameter draw: a random number in 0...1.
    public func delay(afterFailure number: Int, draw: Double) -> Duration {
        var delay = first
        var left = number - 1
        while left > 0, delay < max {
            delay = delay * 1.5
            left -= 1
        }
        return min(delay, max) * (0.5 + 0.5 * draw)
    }
}
