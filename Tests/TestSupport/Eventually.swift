import Foundation

/// What a test waited for and did not come.
public struct NeverHappened: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) {
        self.description = description
    }
}

/// Waits until the condition holds. The only place where a test lets time pass; what it waits for is an event.
///
/// - Parameter limit: generous: it is reached only when the test fails.
public func eventually(
    _ what: String,
    within limit: Duration = .seconds(120),
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard .now < end else { throw NeverHappened(description: "never happened within \(limit): \(what)") }
        // Between two looks: what is waited for happens in other processes, which tell nobody.
        try await Task.sleep(for: .milliseconds(10))
    }
}
