import Engine
import Foundation
import Handlers

/// The handlers written in Swift that a configuration can name: `handler = { swift = "name" }`.
public struct HandlerRegistry: Sendable {
    private var handlers: [String: any Handler] = [:]

    public init() {}

    public mutating func register(_ name: String, _ handler: any Handler) {
        handlers[name] = handler
    }

    /// Registers a function that takes the message's body decoded from its JSON.
    ///
    /// - Parameter run: must be idempotent, and return soon after its task was cancelled. What it throws is a failed
    ///   attempt; `Retry`, `DeadLetter` and `Snooze` say more.
    public mutating func register<Body: Decodable & Sendable>(
        _ name: String,
        decoding body: Body.Type,
        run: @escaping @Sendable (Body, MessageContext) async throws -> Void
    ) {
        handlers[name] = SwiftHandler(decoding: body, run: run)
    }

    var names: [String] { handlers.keys.sorted() }

    /// - Parameter trace: where first deliveries leave a trace that may take the process along.
    func handler(for queue: QueueConfiguration, trace: CrashTrace) throws(StartError) -> any Handler {
        switch queue.handler {
        case .command(let argv, let environment, let workingDirectory, let terminationGrace, let snooze):
            do {
                return try CommandHandler(
                    command: argv,
                    environment: environment,
                    workingDirectory: workingDirectory,
                    terminationGrace: terminationGrace,
                    snooze: snooze
                )
            } catch {
                throw .handler(queue: queue.name, reason: error.description)
            }
        case .swift(let name):
            if let handler = handlers[name] {
                return queue.tracesFirstDeliveries ? TracedHandler(handler: handler, trace: trace) : handler
            }
            let known =
                names.isEmpty ? "none is; Swift handlers need a program of their own" : names.joined(separator: ", ")
            throw .handler(queue: queue.name, reason: "no handler \"\(name)\" is registered in this program (\(known))")
        case .discard:
            return DiscardHandler()
        }
    }
}
