import Engine

/// Is done with every message at once.
public struct DiscardHandler: Handler {
    public init() {}

    public func handle(_ message: Message) async -> Verdict {
        .done
    }
}
