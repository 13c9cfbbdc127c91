import Engine
import Glibc
import Handlers
import Testing

@Suite struct CommandInputTests {
    /// Here, not in the tests, where it might be gone after its last use: the children have only its path.
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    @Test(arguments: [0, 1, 65_537, 5_000_000])
    func bodyArrivesByteForByte(size: Int) async throws {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8 ^ $0 >> 16) }
        let handler = try shell(#"cat > "$0""#, scratch.file("body"))
        #expect(await handler.handle(message(body: body)) == .done)
        #expect(try scratch.bytes(of: "body") == body)
    }

    @Test func bodyNeedNotBeRead() async throws {
        let body = [UInt8](repeating: 32, count: 5_000_000)
        #expect(await (try shell("exit 0")).handle(message(body: body)) == .done)
    }

    @Test func nullIsEmptyAndSaysSo() async throws {
        let handler = try shell(#"[ "$PGMQD_NULL" = 1 ] && [ -z "$(cat)" ]"#)
        #expect(await handler.handle(message(body: nil)) == .done)
        #expect(await (try shell(#"[ -z "${PGMQD_NULL+set}" ]"#)).handle(message(body: [])) == .done)
    }

    @Test func environmentIsChosen() async throws {
        let handler = try CommandHandler(
            command: ["/bin/sh", "-c", #"cat /proc/$$/environ > "$0""#, scratch.file("environ")],
            environment: ["APP_MODE": "a=b c", "LANG": "de_DE.UTF-8"],
            inheriting: ["PATH", "LANG", "NOT_SET_ANYWHERE"]
        )
        #expect(await handler.handle(message(headers: Array(#"{"trace":"ä"}"#.utf8))) == .done)
        let names = try scratch.text(of: "environ").split(separator: "\0").filter { !$0.hasPrefix("PATH=") }
        #expect(
            names == [
                "APP_MODE=a=b c",
                "LANG=de_DE.UTF-8",
                "PGMQD_QUEUE=emails",
                "PGMQD_MSG_ID=42",
                "PGMQD_ATTEMPT=3",
                "PGMQD_READ_COUNT=7",
                "PGMQD_ENQUEUED_AT=2024-02-29T12:34:56.000007Z",
                "PGMQD_IDEMPOTENCY_KEY=emails:42:1709210096000007",
                #"PGMQD_HEADERS={"trace":"ä"}"#,
            ]
        )
    }

    @Test func headersTooLongForTheKernelAreLeftOut() async throws {
        let handler = try shell(#"[ -z "${PGMQD_HEADERS+set}" ] && [ "$PGMQD_HEADERS_OMITTED" = 100001 ]"#)
        #expect(await handler.handle(message(headers: Array(repeating: 49, count: 100_001))) == .done)
        let whole = try shell(#"[ "${#PGMQD_HEADERS}" = 100000 ] && [ -z "${PGMQD_HEADERS_OMITTED+set}" ]"#)
        #expect(await whole.handle(message(headers: Array(repeating: 49, count: 100_000))) == .done)
    }

    @Test(arguments: Array(stride(from: Int64(-8_000_000_000), through: 30_000_000_000, by: 1_234_567_891)))
    func momentIsWhatDateSays(second: Int64) async throws {
        let script = #"[ "$PGMQD_ENQUEUED_AT" = "$(date -u -d @"$0" +%Y-%m-%dT%H:%M:%S).999999Z" ]"#
        let moment = Timestamp(microseconds: second * 1_000_000 + 999_999)
        #expect(await (try shell(script, "\(second)")).handle(message(enqueuedAt: moment)) == .done)
    }

    @Test func programStartsInItsDirectory() async throws {
        let handler = try CommandHandler(
            command: ["/bin/sh", "-c", "pwd >&2; exit 3"],
            workingDirectory: "/usr/lib"
        )
        #expect(await handler.handle(message()) == .failed("exit status 3: /usr/lib"))
    }

    @Test func programHasThreeDescriptors() async throws {
        let handler = try shell("exec 1>&2; ls /proc/$$/fd; exit 3")
        #expect(await handler.handle(message()).failure == "exit status 3: 0\n1\n2")
    }

    @Test func programHasNoSignalBlockedOrIgnored() async throws {
        // As pgmqd does.
        signal(SIGPIPE, SIG_IGN)
        let handler = try shell("grep -E 'Sig(Blk|Ign)' /proc/self/status >&2; exit 3")
        let reason = "exit status 3: SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"
        let failure = await handler.handle(message()).failure
        #expect(failure == reason)
    }
}
