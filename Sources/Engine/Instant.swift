import Glibc

/// A moment on this machine's monotonic clock, which goes on while the process is stopped.
///
/// Not `ContinuousClock.Instant`: how that one is laid out is known only when the program runs, so whatever holds one
/// is copied field by field through tables. The hot path holds several for each message.
public struct Instant: Sendable, Hashable, InstantProtocol {
    private var sinceBoot: Duration

    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(sinceBoot: .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec))
    }

    public func advanced(by duration: Duration) -> Instant {
        Instant(sinceBoot: sinceBoot + duration)
    }

    public func duration(to other: Instant) -> Duration {
        other.sinceBoot - sinceBoot
    }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        instant.advanced(by: duration)
    }

    public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(sinceBoot: instant.sinceBoot - duration)
    }

    public static func - (a: Instant, b: Instant) -> Duration {
        b.duration(to: a)
    }

    public static func < (a: Instant, b: Instant) -> Bool {
        a.sinceBoot < b.sinceBoot
    }
}
