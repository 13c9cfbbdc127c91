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
    within limit: Duration = .seconds(300),
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while true {
        let began = ContinuousClock.now
        if try await condition() { return }
        guard .now < end else { throw NeverHappened(description: "never happened within \(limit): \(what)") }
        // Between two looks: what is waited for happens in other processes, which tell nobody. A look that takes long
        // is not taken all the time.
        try await Task.sleep(for: min(.milliseconds(100), max(.milliseconds(10), (.now - began) * 3)))
    }
}
