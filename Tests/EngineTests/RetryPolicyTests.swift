import Engine
import Testing

@Suite struct RetryPolicyTests {
    @Test(arguments: [(1, 2.0), (2, 4), (3, 8), (4, 10), (5, 10), (1_000_000_000, 10)])
    func growsToItsMost(attempt: Int, seconds: Double) {
        let policy = RetryPolicy(first: .seconds(2), factor: 2, max: .seconds(10), jitter: 0.2)
        #expect(policy.delay(afterAttempt: attempt, draw: 0.5) == .seconds(seconds))
    }

    @Test func jitterGoesBothWays() {
        let policy = RetryPolicy(first: .seconds(10), factor: 2, max: .seconds(100), jitter: 0.2)
        #expect(policy.delay(afterAttempt: 1, draw: 0) == .seconds(8))
        #expect(policy.delay(afterAttempt: 1, draw: 1) == .seconds(12))
        #expect(policy.delay(afterAttempt: 9, draw: 1) == .seconds(120))
    }

    @Test func aFactorOfOneStays() {
        let policy = RetryPolicy(first: .milliseconds(5), factor: 1, max: .milliseconds(5), jitter: 0)
        #expect(policy.delay(afterAttempt: 10_000, draw: 0.3) == .milliseconds(5))
    }
}
