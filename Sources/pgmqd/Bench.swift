import ArgumentParser
import Dispatch
import Foundation
import PGMQWorker
import Postgres

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what your own server gives, on a scratch queue that is made and dropped.",
        discussion: """
            Two contenders take turns on the same messages: this daemon with a handler that does nothing, and a plain \
            client's loop of pgmq.read and pgmq.delete on as many connections. What counts is the ratio of a pair; the \
            rates are of this moment, this machine and its other work. Both settle durably if the server does: \
            synchronous_commit and fsync are printed. No other queue is touched.

            Ctrl-C drops the scratch queue, too; where that cannot be done, the statement that does it is printed. Schema \
            pgmqd is made if it is missing, as `pgmqd migrate` makes it, and stays.
            """
    )

    @OptionGroup var options: DatabaseOptions

    @Option(help: "Messages a turn.")
    var messages = 200_000

    @Option(help: "Pairs; the medians are printed.")
    var rounds = 3

    @Option(help: "Messages a statement of the plain client.")
    var batch = 100

    @Option(help: "Connections of each contender.")
    var connections = 2

    @Option(
        help: ArgumentHelp("One contender only, on a queue that exists: daemon, plain or bare.", visibility: .hidden)
    )
    var only: String?

    @Option(help: ArgumentHelp("The scratch queue for --only.", visibility: .hidden))
    var queue: String?

    @Option(help: ArgumentHelp("Messages a statement of the daemon; as shipped without.", visibility: .hidden))
    var daemonBatch: Int?

    @Option(help: ArgumentHelp("Messages done before the daemon's clock starts.", visibility: .hidden))
    var skip = 0

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard messages > 0, (1...99).contains(rounds), (1...10_000).contains(batch), (1...16).contains(connections)
        else {
            throw ValidationError("--messages, --rounds, --batch and --connections must be positive and sensible")
        }
    }

    func run() async throws {
        let url = try options.url()
        do {
            if let only { return try await single(only, url) }
            let scratch = ScratchQueue.new(url: url)
            try await scratch.makeSchema()
            try await interruptibly(scratch) {
                try await scratch.make()
                try await compare(scratch)
            }
        } catch let error as PostgresError {
            throw Failure.database(error)
        }
    }

    /// However the work ends, the scratch queue goes. A second Ctrl-C does not wait for that.
    private func interruptibly(
        _ scratch: ScratchQueue,
        _ work: @escaping @Sendable () async throws -> Void
    ) async throws {
        let leftBehind = "the scratch queue may be left; this drops it: \(scratch.dropStatement)"
        let working = Task { try await work() }
        let queue = DispatchQueue(label: "interruption")
        let watch = SignalWatch([SIGINT, SIGTERM], on: queue) { _ in
            if working.isCancelled {
                Output.complain(leftBehind)
                Foundation.exit(EXIT_FAILURE)
            }
            working.cancel()
        }
        defer { watch.cancel() }
        let result = await working.result
        do {
            try await scratch.drop()
        } catch {
            Output.complain("\(leftBehind) (\(error))")
        }
        if working.isCancelled { throw Failure.failed("interrupted") }
        try result.get()
    }

    /// What `deploy/bench` measures with: one contender, on a queue that it has filled.
    private func single(_ name: String, _ url: String) async throws {
        guard let queue, let scratch = ScratchQueue.existing(queue, url: url) else {
            throw Failure.usage("--only wants --queue with the name of a scratch queue")
        }
        let contender: Contender
        switch name {
        case "wake": return try Output.json(try await WakeLatency(queue: scratch, sends: messages).daemon())
        case "bare-wake": return try Output.json(try await WakeLatency(queue: scratch, sends: messages).bare())
        case "empty": return try Output.json(try await Contender.emptyClaims(scratch, times: messages))
        case "daemon": contender = .daemon(batch: daemonBatch)
        case "plain": contender = .plain(batch: batch)
        case "bare": contender = .bare(batch: batch)
        default: throw Failure.usage("--only is daemon, plain, bare, wake, bare-wake or empty")
        }
        try Output.json(try await contender.drain(scratch, messages: messages, connections: connections, skip: skip))
    }

    private func compare(_ scratch: ScratchQueue) async throws {
        let settings = try await options.connected { connection in
            try await connection.run(
                [
                    .catalogPath,
                    Statement(
                        "select pg_catalog.string_agg(name || ' = ' || setting, ', ' order by name) "
                            + "from pg_catalog.pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'server_version')"
                    ),
                ],
                deadline: .seconds(10)
            )[1].text(0, 0) ?? ""
        }
        Output.complain("server: \(settings)")
        var daemon: [DrainMeasurement] = []
        var plain: [DrainMeasurement] = []
        for round in 1...rounds {
            try await scratch.fill(messages)
            daemon.append(
                try await Contender.daemon(batch: daemonBatch).drain(
                    scratch,
                    messages: messages,
                    connections: connections
                )
            )
            try await scratch.fill(messages)
            plain.append(
                try await Contender.plain(batch: batch).drain(scratch, messages: messages, connections: connections)
            )
            Output.complain(
                "round \(round): daemon \(Int(daemon[round - 1].rate))/s, plain client \(Int(plain[round - 1].rate))/s"
            )
        }
        let report = Report(daemon: daemon, plain: plain)
        if json { return try Output.json(report) }
        try Output.table(
            ["CONTENDER", "MESSAGES/S", "OUR CPU US/MESSAGE"],
            [
                ["daemon", "\(Int(report.daemon))", String(format: "%.1f", report.daemonMicroseconds)],
                ["plain client", "\(Int(report.plain))", String(format: "%.1f", report.plainMicroseconds)],
            ]
        )
        try Output.line(String(format: "ratio %.2f (median of pairs)", report.ratio))
    }

    private struct Report: Encodable {
        let daemon: Double
        let plain: Double
        let ratio: Double
        let daemonMicroseconds: Double
        let plainMicroseconds: Double

        init(daemon: [DrainMeasurement], plain: [DrainMeasurement]) {
            func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
            self.daemon = median(daemon.map(\.rate))
            self.plain = median(plain.map(\.rate))
            ratio = median(zip(daemon, plain).map { $0.rate / $1.rate })
            daemonMicroseconds = median(daemon.map(\.microsecondsOfOurs))
            plainMicroseconds = median(plain.map(\.microsecondsOfOurs))
        }
    }
}
