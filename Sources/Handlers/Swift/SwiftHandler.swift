import Engine
import FoundationEssentials

/// Runs a function for each message, with the body decoded from its JSON.
///
/// An SQL NULL decodes as a JSON null, so `Body` may be an optional type. A body that cannot be decoded is a dead
/// letter at once. What the function throws is a failed attempt, but for ``Retry``, ``DeadLetter`` and ``Snooze``.
public struct SwiftHandler<Body: Decodable & Sendable>: Handler {
    private let decoder: JSONDecoder
    private let run: @Sendable (Body, MessageContext) async throws -> Void

    /// - Parameters:
    ///   - decoder: set up before, and not changed any more: every worker uses it.
    ///   - run: must be idempotent, and return soon after its task was cancelled.
    public init(
        decoding: Body.Type,
        decoder: JSONDecoder = JSONDecoder(),
        run: @escaping @Sendable (Body, MessageContext) async throws -> Void
    ) {
        self.decoder = decoder
        self.run = run
    }

    public func handle(_ message: Message) async -> Verdict {
        let body: Body
        do {
            body = try decoder.decode(Body.self, from: Data(message.body ?? Array("null".utf8)))
        } catch {
            return .deadLetter("undecodable: " + undecodable(error))
        }
        do {
            try await run(body, MessageContext(message))
            return .done
        } catch let retry as Retry {
            return .retry(after: retry.after, reason: retry.reason)
        } catch let deadLetter as DeadLetter {
            return .deadLetter(deadLetter.reason)
        } catch let snooze as Snooze {
            return .snooze(snooze.duration)
        } catch is CancellationError {
            return .failed("cancelled")
        } catch {
            return .failed(String(describing: error))
        }
    }
}
