import PGMQWorker
import Testing

@Suite struct DeadLetterTests {
    private func queues(_ pairs: [(String, String?)]) -> String {
        "[database]\nurl = \"x\"\n"
            + pairs.map { name, target in
                "[[queue]]\nname = \"\(name)\"\n\(target.map { "dead_letter = \"\($0)\"" } ?? "")\nhandler.discard = true\n"
            }.joined()
    }

    @Test func `a worked dead-letter queue is a queue like others`() throws {
        let read = try configuration(queues([("a", "c"), ("b", "c"), ("c", "d"), ("d", nil)]))
        #expect(read.queues.map(\.deadLetter) == ["c", "c", "d", "d_dlq"])
    }

    @Test func `a queue's own name is refused`() {
        #expect(
            complaint(queues([("a", "A")]))
                == "pgmqd.toml:5: queue \"a\".dead_letter: a queue cannot be its own dead-letter queue"
        )
    }

    @Test func `a circle is refused, once and by name`() {
        #expect(
            complaint(queues([("x", "b"), ("a", "b"), ("B", "c"), ("c", "A"), ("d", "e"), ("e", "d")])) == """
                pgmqd.toml:9: queue "a".dead_letter: dead letters go round in a circle: "a" -> "b" -> "c" -> "a"
                pgmqd.toml:21: queue "d".dead_letter: dead letters go round in a circle: "d" -> "e" -> "d"
                """
        )
    }

    @Test func `a derived name may close a circle`() {
        #expect(
            complaint(queues([("a", nil), ("a_dlq", "a")])).hasSuffix(
                "dead letters go round in a circle: \"a\" -> \"a_dlq\" -> \"a\""
            )
        )
    }

    @Test func `circles begin where the file does`() {
        #expect(DeadLetterCycles.find(in: [("c", "a"), ("b", "a"), ("a", "b")]) == [["b", "a"]])
        #expect(DeadLetterCycles.find(in: [("a", "b"), ("b", "c")]) == [])
        #expect(DeadLetterCycles.find(in: []) == [])
    }
}
