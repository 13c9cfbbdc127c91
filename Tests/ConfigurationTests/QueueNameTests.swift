import PGMQ
import PGMQWorker
import Testing

@Suite struct QueueNameTests {
    @Test(arguments: [
        ("Emails", "emails"), ("a B-c", "a b-c"), ("ÄÖ", "äö"), ("İ", "İ"), ("ẞ", "ß"), ("日本", "日本"),
    ])
    func `names are lower-cased character by character`(_ written: String, _ name: String) {
        #expect(QueueName.folded(written) == name)
    }

    @Test(arguments: ["a", "A b", "a\"b", "a.b", "a-b", "%", "日本", String(repeating: "x", count: 47)])
    func `names that PGMQ takes`(_ name: String) {
        #expect(QueueName.objection(to: name) == nil)
    }

    @Test(arguments: ["", "a$b", "a;b", "a--b", "a'b", "a\0b", String(repeating: "x", count: 48), "日本語日本語日本語日本語日本語日"])
    func `names that PGMQ refuses, or would cut`(_ name: String) {
        #expect(QueueName.objection(to: name) != nil)
    }

    @Test func `a name too long for its dead-letter queue needs a shorter one`() throws {
        let name = String(repeating: "x", count: 44)
        let text = sound.replacing("emails", with: name)
        #expect(
            complaint(text)
                == "pgmqd.toml:5: queue \"\(name)\".name: its dead-letter queue's name, the name and _dlq, would be 48 "
                + "bytes long; at most 47 are possible, so set a shorter dead_letter"
        )
        #expect(try configuration(text + "\ndead_letter = \"x_dlq\"").queues.first?.deadLetter == "x_dlq")
        #expect(
            complaint(text + "\ndead_letter = \"\(name)_dlq\"").hasSuffix(
                ".dead_letter: the name is 48 bytes long; at most 47 are possible"
            )
        )
    }

    @Test func `a name with control characters stays on its line`() {
        let text = sound.replacing("emails", with: "a\\nb\\u001b[2J") + "\nworker = 1"
        #expect(complaint(text).hasPrefix(#"pgmqd.toml:7: queue "a\nb\u{1b}[2J".worker: unknown key"#))
    }
}
