import Glibc

/// The time of day, to the millisecond, as a log line wants it.
enum LogTime {
    /// `2026-01-31T12:00:00.123Z`.
    static func utc() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        return date(parts, now) + "Z"
    }

    /// `2026-01-31T13:00:00.123+01:00`.
    static func local() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        localtime_r(&now.tv_sec, &parts)
        let minutes = abs(parts.tm_gmtoff) / 60
        let sign = parts.tm_gmtoff < 0 ? "-" : "+"
        return date(parts, now) + sign + padded(minutes / 60, 2) + ":" + padded(minutes % 60, 2)
    }

    private static func date(_ parts: tm, _ now: timespec) -> String {
        let day = [parts.tm_mon + 1, parts.tm_mday].map { padded(Int($0), 2) }.joined(separator: "-")
        let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }.joined(separator: ":")
        return "\(padded(Int(parts.tm_year) + 1900, 4))-\(day)T\(time).\(padded(now.tv_nsec / 1_000_000, 3))"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
