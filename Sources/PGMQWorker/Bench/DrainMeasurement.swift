import Glibc

/// How long a contender took for how many messages.
public struct DrainMeasurement: Sendable, Codable {
    public let messages: Int
    public let seconds: Double
    /// Processor time of this process a message, in microseconds; the server's is not in it.
    public let microsecondsOfOurs: Double

    public var rate: Double { Double(messages) / seconds }

    /// This process's processor time so far, in seconds.
    static var processorTime: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
