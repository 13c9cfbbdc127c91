/// When a failed attempt is tried again, and when no more.
public struct RetryPolicy: Sendable, Equatable {
    /// Recorded failures after which a message is dead-lettered. At least 1.
    public var maxAttempts: Int
    public var first: Duration
    public var factor: Double
    public var max: Duration
    /// The share of the delay that is random: 0.2 draws from 80 % to 120 %.
    public var jitter: Double

    public init(
        maxAttempts: Int = 5,
        first: Duration = .seconds(2),
        factor: Double = 2,
        max: Duration = .seconds(600),
        jitter: Double = 0.2
    ) {
        self.maxAttempts = maxAttempts
        self.first = first
        self.factor = factor
        self.max = max
        self.jitter = jitter
    }

    /// The delay after the failure with this number, counted from 1.
    ///
    /// - Parameter draw: a random number in 0...1; an argument, so that a decision can be repeated.
    public func delay(afterAttempt number: Int, draw: Double) -> Duration {
        var seconds = first.inSeconds
        // Not pow(): a long history must not overflow on its way to the cap.
        var left = number - 1
        while left > 0, seconds < max.inSeconds {
            seconds *= factor
            left -= 1
        }
        seconds = Swift.min(seconds, max.inSeconds) * (1 + jitter * (2 * draw - 1))
        return .microseconds(Int64(seconds * 1e6))
    }
}

extension Duration {
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }

    /// For people: tenths are enough.
    package var inSecondsText: String {
        let tenths = Int64((self / .milliseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)s"
    }

    public var inMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
