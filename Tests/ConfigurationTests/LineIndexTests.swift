import PGMQWorker
import Testing

@Suite struct LineIndexTests {
    private let index = LineIndex(
        #"""
        # [not.a.table]
        top = 1
        text = """
        inside = "a"
        [[queue]]
        \""" still """""
        literal = '''
        [queue]''' # = comment
        list = [ # comment ]
            "a]", 'b"',
            { first = 1,
              second = [1, 2] },
            2020-01-01
        ]
        [ database ]
        url = "x # y" \#t
        "quoted key".'b' . c = "\"}"
        [[queue]]
        name = "a"
        [queue.backoff]
        first = "2s"
        [[queue]]\#r
        name = "b"\#r
        handler = { command = ["x"], environment = { A = "a" } }\#r
        [[queue.rule]]
        a = 1
        [[queue.rule]]
        a = 2
        """#
    )

    @Test(
        arguments: [
            (["top"], 2), (["text"], 3), (["inside"], nil), (["literal"], 7),
            (["list"], 9), (["list", 0], 10), (["list", 1], 10), (["list", 2], 11),
            (["list", 2, "first"], 11), (["list", 2, "second"], 12), (["list", 3], 13),
            (["database"], 15), (["database", "url"], 16), (["database", "quoted key", "b", "c"], 17),
            (["queue"], 18), (["queue", 0], 18), (["queue", 0, "name"], 19),
            (["queue", 0, "backoff"], 20), (["queue", 0, "backoff", "first"], 21),
            (["queue", 1], 22), (["queue", 1, "name"], 23), (["queue", 1, "handler", "environment", "A"], 24),
            (["queue", 1, "rule", 1, "a"], 28), (["queue", 2], nil),
        ] as [([PathStep], Int?)]
    )
    func `keys stand on lines`(_ path: [PathStep], _ line: Int?) {
        #expect(index.line(of: path) == line)
    }

    @Test(arguments: [
        "", "[", "[[", "[[a", "a", "a =", "a = \"", "a = \"\"\"", "a = '", "a = [", "a = {", "a = [[", "a = {b",
        "=", "]", "}", "\"", "\"a", "\\", ",", "a = \"\\", "\u{FEFF}", "[a]]]", "a = [}]", "a.b.", "\r", "#",
    ])
    func `no text holds it up`(_ text: String) {
        _ = LineIndex(text)
    }

    @Test func `a byte-order mark is no key`() {
        #expect(LineIndex("\u{FEFF}a = 1").line(of: ["a"]) == 1)
    }

    @Test func `escaped NULs are found, and nothing like them`() {
        let index = LineIndex(
            #"""
            a = "\u0000"
            b = '\u0000'
            c = "\\u0000"
            d = """
            \U00000000"""
            # \u0000
            """#
        )
        #expect(index.nulLines == [1, 5])
    }
}

extension PathStep: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    public init(stringLiteral value: String) {
        self = .key(value)
    }

    public init(integerLiteral value: Int) {
        self = .index(value)
    }
}
