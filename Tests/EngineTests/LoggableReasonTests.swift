import Engine
import Testing

@Suite struct LoggableReasonTests {
    @Test(arguments: [
        (
            #"invalid input syntax for type integer: "4111-1111" (22P02)"#,
            #"invalid input syntax for type integer: "…" (22P02)"#
        ),
        (
            #"value "9" is out of range for type integer (22003); hint: none"#,
            #"value "…" is out of range for type integer (22003); hint: none"#
        ),
        ("bad card: 4111-1111 (P0001)", "bad card… (P0001)"),
        (#"card "4111-1111" is bad (AB123)"#, "card… (AB123)"),
        ("the archive is closed (P0001)", "the archive is closed (P0001)"),
        (
            #"new row for relation "q_work" violates check constraint "c" (23514)"#,
            #"new row for relation "q_work" violates check constraint "c" (23514)"#
        ),
        (#"permission denied for table q_work (42501)"#, #"permission denied for table q_work (42501)"#),
        ("connection lost", "connection lost"),
    ])
    func `a reason that may quote a message does not reach the log whole`(reason: String, logged: String) {
        #expect(reason.loggableReason == logged)
    }
}
