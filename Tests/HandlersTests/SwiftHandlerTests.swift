import Engine
import Handlers
import Testing

@Suite struct SwiftHandlerTests {
    struct Order: Codable, Equatable {
        var id: Int
        var lines: [Line] = []
        var tags: [String: Int]?
    }

    struct Line: Codable, Equatable {
        var sku: String
    }

    struct Broken: Error, CustomStringConvertible {
        let description = "it broke"
    }

    private func verdict(_ body: String?, throwing error: (any Error)? = nil) async -> Verdict {
        let handler = SwiftHandler(decoding: Order.self) { _, _ in
            if let error { throw error }
        }
        return await handler.handle(message(body: body.map { Array($0.utf8) }))
    }

    @Test func bodyAndContextArrive() async {
        await confirmation { ran in
            let handler = SwiftHandler(decoding: Order.self) { order, context in
                #expect(order == Order(id: 1, lines: [Line(sku: "ä")]))
                #expect(context.queue == "emails")
                #expect(context.id == 42)
                #expect(context.attempt == 3)
                #expect(context.readCount == 7)
                #expect(context.enqueuedAt == Timestamp(microseconds: 1_709_210_096_000_007))
                #expect(context.headers == Array("[1]".utf8))
                #expect(context.idempotencyKey == "emails:42:1709210096000007")
                ran()
            }
            let body = Array(#"{"id": 1, "lines": [{"sku": "ä"}]}"#.utf8)
            #expect(await handler.handle(message(body: body, headers: Array("[1]".utf8))) == .done)
        }
    }

    @Test func nullDecodesAsNull() async {
        let optional = SwiftHandler(decoding: Order?.self) { order, _ in
            #expect(order == nil)
        }
        #expect(await optional.handle(message(body: nil)) == .done)
        guard case .deadLetter = await verdict(nil) else {
            Issue.record("an order was made of null")
            return
        }
    }

    @Test(arguments: [
        (#"{"id": "secret"}"#, "undecodable: Int expected at id"),
        (#"{"lines": []}"#, "undecodable: nothing at id"),
        (#"{"id": null, "lines": []}"#, "undecodable: Int expected at id, which is null or missing"),
        (#"{"id": 1, "lines": [{"sku": "a"}, {"sku": 5}]}"#, "undecodable: String expected at lines[1].sku"),
        (#"{"id": 1, "lines": [], "tags": {"secret": "x"}}"#, "undecodable: Int expected at tags[…]"),
        (#"["secret"]"#, "undecodable: Dictionary<String, Any> expected at the top"),
        (#"{"id": 1.5, "lines": []}"#, "undecodable: invalid value"),
        ("secret", "undecodable: invalid value"),
    ])
    func undecodableBodyIsADeadLetterThatQuotesNothing(body: String, reason: String) async {
        #expect(await verdict(body) == .deadLetter(reason))
    }

    @Test func errorsAreVerdicts() async {
        let body = #"{"id": 1, "lines": []}"#
        #expect(await verdict(body) == .done)
        #expect(await verdict(body, throwing: Broken()) == .failed("it broke"))
        #expect(await verdict(body, throwing: CancellationError()) == .failed("cancelled"))
        #expect(await verdict(body, throwing: DeadLetter(reason: "bad")) == .deadLetter("bad"))
        #expect(await verdict(body, throwing: Snooze(for: .seconds(9))) == .snooze(.seconds(9)))
        #expect(
            await verdict(body, throwing: Retry(after: .seconds(9), reason: "busy"))
                == .retry(after: .seconds(9), reason: "busy")
        )
    }

    @Test func discardIsDone() async {
        #expect(await DiscardHandler().handle(message(body: nil)) == .done)
    }
}
