/// The bounds of single values, each with what lies beyond it.
enum Bounds {
    static let workers = 1...10_000
    /// Up to the longest that a lease may outlive a dead daemon.
    static let visibilityTimeout = Duration.milliseconds(1) ... .seconds(12 * 3600)
    static let handlerTimeout = Duration.milliseconds(1) ... .seconds(7 * 86_400)
    static let attempts = 1...1000
    static let crashes = 1...1000
    static let pollInterval = Duration.milliseconds(100) ... .seconds(3600)
    static let backoff = Duration.milliseconds(1) ... .seconds(365 * 86_400)
    static let backoffFactor = 1.0...1000.0
    static let jitter = 0.0...1.0
    static let messageBytes = 1000...(256 << 20)
    static let inflightBytes = 1000...(64 << 30)
    static let grace = Duration.zero ... .seconds(3600)
    static let snooze = Duration.milliseconds(1) ... .seconds(7 * 86_400)
}
