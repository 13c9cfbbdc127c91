extension Duration {
    /// Never negative, and never above what fits.
    var wholeMicroseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max - 1 : scaled + UInt64(attoseconds / 1_000_000_000_000)
    }
}
