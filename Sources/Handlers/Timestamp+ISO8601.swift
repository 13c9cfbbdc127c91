import Engine

extension Timestamp {
    /// UTC with microseconds, as in "2026-01-31T23:59:59.000001Z".
    ///
    /// By hand: Foundation's formatters cost more than the rest of a child's environment.
    var iso8601: String {
        let (second, micro) = microseconds.flooredDivision(by: 1_000_000)
        let (day, secondOfDay) = second.flooredDivision(by: 86_400)
        // Days to a date in the proleptic Gregorian calendar, whose eras of 400 years are 146,097 days. Years begin in
        // March here, so that the leap day is a year's last.
        let (era, dayOfEra) = (day + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return year.padded(4) + "-" + month.padded(2) + "-" + dayOfMonth.padded(2) + "T"
            + (secondOfDay / 3600).padded(2) + ":" + (secondOfDay / 60 % 60).padded(2) + ":"
            + (secondOfDay % 60).padded(2) + "." + micro.padded(6) + "Z"
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    fileprivate func padded(_ width: Int) -> String {
        let digits = String(magnitude)
        return (self < 0 ? "-" : "") + String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
