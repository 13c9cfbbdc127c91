import Logging
import Systemd
import Testing

@Suite struct LogFoldingTests {
    private let start = ContinuousClock.now
    private var folding: LogFolding<String>

    init() {
        var limits = LogLimits()
        limits.burst = 2
        limits.window = .seconds(10)
        limits.kinds = 3
        folding = LogFolding(limits)
    }

    /// What becomes of a line, and what is told before it: `5 in 10 s from first` for a fold.
    private mutating func line(
        _ message: String,
        at seconds: Int,
        queue: String? = nil,
        level: Logger.Level = .info,
        _ sample: String = "sample"
    ) -> [String] {
        let kind = LogKind(level: level, message: message, queue: queue)
        let (passes, folds) = folding.admit(kind, now: start + .seconds(seconds), sample: sample)
        return folds.map(text) + (passes ? ["passes"] : [])
    }

    private func text(_ fold: LogFolding<String>.Fold) -> String {
        "\(fold.count) in \(fold.span.components.seconds) s from \(fold.sample)"
    }

    private mutating func end(at seconds: Int) -> [String] {
        folding.end(now: start + .seconds(seconds)).map(text)
    }

    private var nextEnd: Duration? { folding.nextEnd.map { $0 - start } }

    @Test mutating func `the first lines of a kind pass, and the count of the rest is told when the window ends`() {
        #expect(line("a", at: 0) == ["passes"])
        #expect(line("a", at: 1) == ["passes"])
        #expect(nextEnd == nil)
        #expect(line("a", at: 2, "third") == [])
        #expect(line("a", at: 3, "fourth") == [])
        #expect(nextEnd == .seconds(10))
        #expect(end(at: 9) == [])
        #expect(end(at: 10) == ["2 in 10 s from third"])
        #expect(end(at: 11) == [])
        #expect(nextEnd == nil)
    }

    @Test mutating func `a window begins anew with the next line`() {
        for _ in 0..<5 { _ = line("a", at: 0) }
        #expect(end(at: 10).count == 1)
        #expect(line("a", at: 15) == ["passes"])
        #expect(line("a", at: 16) == ["passes"])
        #expect(line("a", at: 17) == [])
        #expect(nextEnd == .seconds(25))
    }

    @Test mutating func `a count that nobody asked for in time is told before the next line of any kind`() {
        for _ in 0..<5 { _ = line("a", at: 0) }
        #expect(line("b", at: 30) == ["3 in 10 s from sample", "passes"])
        #expect(line("a", at: 31) == ["passes"])
    }

    @Test mutating func `a kind that stays below the burst is never touched`() {
        for window in 0..<100 {
            #expect(line("a", at: window * 10) == ["passes"])
            #expect(line("a", at: window * 10 + 9) == ["passes"])
            #expect(nextEnd == nil)
        }
    }

    @Test mutating func `text, level and subject tell kinds apart`() {
        for _ in 0..<3 { _ = line("a", at: 0, queue: "one") }
        #expect(line("a", at: 0, queue: "one") == [])
        #expect(line("a", at: 0, queue: "two") == ["passes"])
        #expect(line("b", at: 0, queue: "one") == ["passes"])
        var other = LogKind(level: .info, message: "a", queue: "one")
        other.role = "listen"
        #expect(folding.admit(other, now: start, sample: "").passes)
        #expect(folding.admit(LogKind(level: .error, message: "a", queue: "one"), now: start, sample: "").passes)
    }

    @Test mutating func `critical lines always pass`() {
        for _ in 0..<100 { #expect(line("a", at: 0, level: .critical) == ["passes"]) }
        #expect(nextEnd == nil)
    }

    @Test mutating func `with too many kinds the oldest window ends early, and its count is told`() {
        for _ in 0..<3 { _ = line("a", at: 0, "first") }
        #expect(line("b", at: 1) == ["passes"])
        #expect(line("c", at: 2) == ["passes"])
        #expect(line("d", at: 4) == ["1 in 4 s from first", "passes"])
        #expect(line("e", at: 4) == ["passes"])
        #expect(nextEnd == nil)
    }

    @Test mutating func `the end of the process tells all counts`() {
        for _ in 0..<3 { _ = line("a", at: 0, "first") }
        for _ in 0..<4 { _ = line("b", at: 1, "second") }
        _ = line("c", at: 2)
        #expect(folding.endAll(now: start + .seconds(3)).map(text) == ["1 in 3 s from first", "2 in 2 s from second"])
        #expect(nextEnd == nil)
    }

    @Test mutating func `no line gets lost between passing and counting`() {
        var random = SystemRandomNumberGenerator()
        var (passed, folded, seconds) = (0, 0, 0)
        for _ in 0..<10_000 {
            seconds += Int.random(in: 0...2, using: &random)
            let kind = LogKind(level: .info, message: "\(Int.random(in: 0..<5, using: &random))")
            let (passes, folds) = folding.admit(kind, now: start + .seconds(seconds), sample: "")
            if passes { passed += 1 }
            folded += folds.reduce(0) { $0 + $1.count }
        }
        folded += folding.endAll(now: start + .seconds(seconds)).reduce(0) { $0 + $1.count }
        #expect(passed + folded == 10_000)
    }
}
