import Foundation
import Glibc
import Handlers
import PGMQWorker

/// A daemon for the tests: a real one, whose Swift handler does what the message says and writes what it did.
@main
struct LedgerDaemon {
    struct Order: Decodable, Sendable {
        /// Runs this long; heeds cancellation.
        var sleep: Double?
        /// From this attempt on, runs until the test opens the ledger's gate; heeds cancellation.
        var gated: Int?
        /// Fails this many times, then succeeds; -1 for ever.
        var fail: Int?
        /// Ends the process by abort().
        var abort: Bool?
        /// Keeps a thread of the cooperative pool busy, without ever suspending, for this many seconds.
        var block: Double?
        /// When it is cancelled, keeps the loop that does so busy for this many seconds.
        var blockCancelling: Double?
        var deadLetter: String?
        var snooze: Double?
        /// Goes on in spite of cancellation.
        var stubborn: Bool?
    }

    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, arguments[1] == "run", arguments[2] == "-c" else { exit(64) }
        var handlers = HandlerRegistry()
        let path = ProcessInfo.processInfo.environment["PGMQD_LEDGER"] ?? "/dev/null"
        let ledger = open(path, O_WRONLY | O_APPEND)
        let gate = path + ".gate"
        handlers.register("ledger", decoding: Order.self) { order, context in
            try await work(order, context, ledger, gate)
        }
        exit(await DaemonProgram.run(configuration: arguments[3], handlers: handlers))
    }

    private static func work(
        _ order: Order,
        _ context: MessageContext,
        _ ledger: Int32,
        _ gate: String
    ) async throws {
        write("start", "-", context, ledger)
        do {
            try await obey(order, context, ledger, gate)
            write("end", "done", context, ledger)
        } catch {
            write("end", error is CancellationError ? "cancelled" : "failed", context, ledger)
            throw error
        }
    }

    private static func obey(
        _ order: Order,
        _ context: MessageContext,
        _ ledger: Int32,
        _ gate: String
    ) async throws {
        if order.abort == true { abort() }
        if let seconds = order.block {
            let end = ContinuousClock.now + .seconds(seconds)
            while .now < end {}
        }
        if let seconds = order.blockCancelling {
            await withTaskCancellationHandler {
                await Task.detached { try? await Task.sleep(for: .seconds(seconds)) }.value
            } onCancel: {
                write("block", "-", context, ledger)
                let end = ContinuousClock.now + .seconds(seconds)
                while .now < end {}
            }
        }
        // Between two looks at what the test does in its own process.
        if let first = order.gated, context.attempt >= first {
            while access(gate, F_OK) != 0 {
                if order.stubborn == true {
                    await Task.detached { try? await Task.sleep(for: .milliseconds(50)) }.value
                } else {
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
        // No wait for anything: this long is the work that the message orders.
        if let seconds = order.sleep {
            if order.stubborn == true {
                await Task.detached { try? await Task.sleep(for: .seconds(seconds)) }.value
            } else {
                try await Task.sleep(for: .seconds(seconds))
            }
        }
        if let fails = order.fail, fails < 0 || context.attempt <= fails { throw Refusal(attempt: context.attempt) }
        if let reason = order.deadLetter { throw DeadLetter(reason: reason) }
        if let seconds = order.snooze, context.readCount < 3 { throw Snooze(for: .seconds(seconds)) }
    }

    private struct Refusal: Error, CustomStringConvertible {
        let attempt: Int
        var description: String { "ordered to fail at attempt \(attempt)" }
    }

    /// One write a line, so that processes do not mix theirs.
    private static func write(_ event: String, _ verdict: String, _ context: MessageContext, _ ledger: Int32) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        let line = """
            \(event) \(context.queue) \(context.id) \(context.readCount) \(context.attempt) \(getpid()) \(nanoseconds) \(verdict)\n
            """
        _ = Glibc.write(ledger, line, line.utf8.count)
    }
}
