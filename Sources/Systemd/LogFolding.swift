import DequeModule
import Logging

/// Lets the first lines of a kind pass, counts the rest, and tells the count when the window of that kind is over.
///
/// | the kind has | at a line of the kind | at the end of the window |
/// | --- | --- | --- |
/// | no window | one begins; the line passes | |
/// | a window with fewer than `burst` lines | the line passes | nothing is told |
/// | a window with `burst` lines or more | the line is counted | the count is told |
///
/// A pure value: time is an argument. `Sample` is what the caller wants to know of a folded line when its count is told.
package struct LogFolding<Sample: Sendable>: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// The lines of one kind that did not pass.
    package struct Fold: Sendable {
        /// The first of them.
        package let sample: Sample
        package let count: Int
        /// How long the window lasted.
        package let span: Duration
    }

    private struct Window {
        var lines = 1
        var sample: Sample?
    }

    private let limits: LogLimits
    private var windows: [LogKind: Window] = [:]
    /// All windows last equally long, so the oldest ends first.
    private var oldestFirst: Deque<(kind: LogKind, began: Instant)> = []
    private var foldedKinds = 0

    package init(_ limits: LogLimits) {
        self.limits = limits
    }

    /// When to call ``end(now:)`` next; nil while nothing is folded.
    package var nextEnd: Instant? {
        foldedKinds > 0 ? oldestFirst.first.map { $0.began + limits.window } : nil
    }

    /// - Returns: whether the line passes, and the counts that are to be told before it.
    package mutating func admit(
        _ kind: LogKind,
        now: Instant,
        sample: @autoclosure () -> Sample
    ) -> (passes: Bool, folds: [Fold]) {
        guard kind.level < .critical else { return (true, []) }
        var folds = end(now: now)
        if let index = windows.index(forKey: kind) {
            windows.values[index].lines += 1
            if windows.values[index].lines <= limits.burst { return (true, folds) }
            if windows.values[index].sample == nil {
                windows.values[index].sample = sample()
                foldedKinds += 1
            }
            return (false, folds)
        }
        // With more kinds than that, the oldest window ends early. Memory stays bounded, and no line is folded wrongly.
        if windows.count >= limits.kinds, let fold = endOldest(now: now) { folds.append(fold) }
        windows[kind] = Window()
        oldestFirst.append((kind, now))
        return (true, folds)
    }

    /// Ends the windows whose time is over.
    package mutating func end(now: Instant) -> [Fold] {
        var folds: [Fold] = []
        while let oldest = oldestFirst.first, oldest.began + limits.window <= now {
            if let fold = endOldest(now: now) { folds.append(fold) }
        }
        return folds
    }

    /// Ends all windows, because the process ends.
    package mutating func endAll(now: Instant) -> [Fold] {
        var folds: [Fold] = []
        while !oldestFirst.isEmpty {
            if let fold = endOldest(now: now) { folds.append(fold) }
        }
        return folds
    }

    private mutating func endOldest(now: Instant) -> Fold? {
        guard let oldest = oldestFirst.popFirst(), let window = windows.removeValue(forKey: oldest.kind) else {
            return nil
        }
        guard let sample = window.sample else { return nil }
        foldedKinds -= 1
        return Fold(
            sample: sample,
            count: window.lines - limits.burst,
            span: min(now - oldest.began, limits.window)
        )
    }
}
