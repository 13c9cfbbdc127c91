import ArgumentParser
import Foundation
import Logging
import PGMQ
import PGMQWorker
import Postgres
import Synchronization

struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a private PostgreSQL with PGMQ, the configuration's queues, and the daemon.",
        discussion: """
            The server comes from the machine's own binaries and lives in the state folder, on a Unix socket; it keeps its \
            state between runs, and Ctrl-C ends it whole. In the configuration, ${PGMQD_DEV_URL} is its address. \
            `pgmqd send` and the other commands find it by themselves while no /etc/pgmqd/pgmqd.toml exists.
            """
    )

    @Option(
        name: .shortAndLong,
        help: "The configuration to create queues for and to work; without one there is only the server."
    )
    var config: String?

    @Option(help: "The state folder.")
    var state: String = DevState.defaultFolder

    @Flag(help: "Drop the state of earlier runs first.")
    var reset = false

    @Flag(help: "Only the server and the queues; do not work them.")
    var serverOnly = false

    @Option(help: "A file with PGMQ's SQL, where the server has no extension of it.")
    var pgmqSql: String?

    func run() async throws {
        let server = try EmbeddedPostgres(directory: state)
        if reset { try await server.reset() }
        do {
            try await server.start()
            try await server.installPGMQ(pgmqSql.map { .file($0) } ?? .automatic)
        } catch {
            await server.stop(.fast)
            throw Failure.failed("\(error)")
        }
        await DevState.remember(url: server.url)
        Output.complain("PostgreSQL with PGMQ runs: \(server.url)")
        setenv("PGMQD_DEV_URL", server.url, 1)
        let code: Int32
        do {
            try await prepare(server)
            if let config, !serverOnly {
                code = await DaemonProgram.run(configuration: config)
            } else {
                let interruption = Interruption()
                Output.complain("Ctrl-C ends it")
                await interruption.wait(orExitOf: server)
                code = 0
            }
        } catch {
            DevState.forget(url: server.url)
            await server.stop(.fast)
            throw error
        }
        DevState.forget(url: server.url)
        await server.stop(.fast)
        throw ExitCode(code)
    }

    private func prepare(_ server: EmbeddedPostgres) async throws {
        let queues = try config.map { path in try Configuration.ofCommand(path).queues } ?? []
        let lines = try await CommandConnection.use(server.url) { connection in
            try await Migration(schema: Schema(connection), createsQueues: true).run(queues)
        }
        for line in lines { Output.complain(line) }
    }
}

/// Ctrl-C and SIGTERM where no daemon handles them. (Before that they end this process at once, and the kernel ends
/// the server with it.)
private final class Interruption: Sendable {
    private let stream: AsyncStream<Void>
    private let watch: SignalWatch

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.stream = stream
        watch = SignalWatch([SIGINT, SIGTERM], on: .global()) { _ in continuation.yield() }
    }

    func wait(orExitOf server: EmbeddedPostgres) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [stream] in for await _ in stream { return } }
            group.addTask { await server.waitUntilExit() }
            await group.next()
            group.cancelAll()
        }
    }
}
