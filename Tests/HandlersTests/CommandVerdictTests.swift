import Engine
import Glibc
import Handlers
import Testing

@Suite struct CommandVerdictTests {
    @Test(arguments: [
        (0, Verdict.done),
        (65, .deadLetter("exit status 65: why")),
        (100, .deadLetter("exit status 100: why")),
        (99, .snooze(.seconds(60))),
        (75, .failed("exit status 75: why")),
        (3, .failed("exit status 3: why")),
        (255, .failed("exit status 255: why")),
    ])
    func exitStatusDecides(status: Int, verdict: Verdict) async throws {
        let handler = try shell("echo why >&2; exit $0", "\(status)")
        #expect(await handler.handle(message()) == verdict)
    }

    @Test func snoozeIsConfigured() async throws {
        let handler = try CommandHandler(command: ["/bin/sh", "-c", "exit 99"], snooze: .seconds(5))
        #expect(await handler.handle(message()) == .snooze(.seconds(5)))
    }

    @Test func reasonIsTheStatusWhereNothingWasSaid() async throws {
        let handler = try shell("echo 'not an error'; exit 4")
        #expect(await handler.handle(message()) == .failed("exit status 4"))
    }

    @Test(arguments: ["KILL", "TERM", "USR1"])
    func signalIsNamed(signal: String) async throws {
        let handler = try shell("echo why >&2; kill -$0 $$", signal)
        #expect(await handler.handle(message()) == .failed("killed by SIG\(signal): why"))
    }

    @Test func crashIsNamed() async throws {
        let reason = await (try shell("ulimit -c 0; kill -SEGV $$")).handle(message()).failure
        #expect(reason?.hasPrefix("killed by SIGSEGV") == true)
    }

    @Test func onlyTheEndOfStandardErrorIsKept() async throws {
        let handler = try shell("yes début | head -c 2999997 >&2; printf 'the last line\n\n' >&2; exit 3")
        let reason = try #require(await handler.handle(message()).failure)
        #expect(reason.hasPrefix("exit status 3: "))
        #expect(reason.hasSuffix("début\nthe last line"))
        #expect(reason.utf8.count <= 8192)
        #expect(reason.utf8.count > 7900)
        #expect(!reason.contains("\u{FFFD}"))
    }

    @Test func reasonIsPlainText() async throws {
        let handler = try shell(#"printf ' \377a\000b\033[31mc\td\r\ne\001\302\205f\n' >&2; exit 3"#)
        #expect(await handler.handle(message()) == .failed("exit status 3: \u{FFFD}ab[31mc\td\nef"))
    }

    @Test func reasonStaysShortWhenNothingIsText() async throws {
        let handler = try shell(#"head -c 20000 /dev/zero | tr '\000' '\377' >&2; exit 3"#)
        let reason = try #require(await handler.handle(message()).failure)
        #expect(reason.utf8.count <= 8192)
        #expect(reason.hasSuffix("\u{FFFD}"))
    }
}
