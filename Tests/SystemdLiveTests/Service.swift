import Foundation
import PGMQ
import PGMQWorker
import TestSupport

/// deploy/pgmqd.service as it is, and a drop-in that names a test's program and configuration, on a machine and a
/// database of its own.
final class Service: Sendable {
    let machine: Machine
    let database: TestDatabase
    private let server: TestServer

    /// - Parameters:
    ///   - program: `pgmqd`, or `LedgerDaemon` for handlers written in Swift.
    ///   - gated: the program is not started before ``openGate()``.
    ///   - watchdog: `WatchdogSec`; as short as this only where a restart is waited for: a machine may stand still.
    ///   - restart: `RestartSec`, where a test has no reason to wait for the unit's own.
    ///   - isConfigured: false for a configuration with a mistake in it.
    init(
        program: String = "LedgerDaemon",
        handler: String = "{ swift = \"ledger\" }",
        workers: Int = 2,
        queues: [String] = ["work"],
        gated: Bool = false,
        watchdog: String = "30s",
        restart: String? = nil,
        isConfigured: Bool = true
    ) async throws {
        // By TCP: the service's user can enter neither the folder of the server's socket nor, having a /tmp of its own,
        // see it.
        server = try await TestServer(port: FreePort.find())
        database = try await server.database()
        for queue in queues { try await database.createQueue(queue) }
        let unit = try String(contentsOf: Machine.repository.appending(path: "deploy/pgmqd.service"), encoding: .utf8)
        machine = try await Machine(units: ["pgmqd.service": unit])
        let folder = machine.folder
        try await install(program: "\(DaemonProcess.programs)/\(program)", at: "\(folder)/\(program)")
        try "".write(toFile: ledger, atomically: false, encoding: .utf8)
        chmod(ledger, 0o666)
        let gate = gated ? "/bin/sh -c 'until [ -e \(folder)/gate ]; do sleep 0.05; done; exec \"$0\" \"$@\"' " : ""
        let dropIn = """
            [Unit]
            DefaultDependencies=no
            [Service]
            ExecStart=
            ExecStart=\(gate)\(folder)/\(program) run -c /etc/pgmqd/pgmqd.toml
            WatchdogSec=\(watchdog)
            \(restart.map { "RestartSec=\($0)" } ?? "")
            LimitCORE=0
            Environment=PGMQD_LEDGER=\(ledger)
            ReadWritePaths=\(ledger)
            LoadCredential=database-url:/etc/pgmqd/secrets/database-url
            """
        try write(dropIn, to: "\(folder)/units/pgmqd.service.d/live.conf")
        var settings = Settings(url: "${credential:database-url}")
        settings.daemon = isConfigured ? [] : ["worker = 8"]
        for queue in queues { settings.add(queue: queue, handler: handler, workers: workers, visibilityTimeout: "30s") }
        try write(settings.text, to: machine.path("/etc/pgmqd/pgmqd.toml"))
        let url = URL(string: server.postgres.tcpURL ?? "")?.deletingLastPathComponent().appending(path: database.name)
        try write(url?.absoluteString ?? "", to: machine.path("/etc/pgmqd/secrets/database-url"))
        _ = try await machine.run(["chown", "-R", "root:pgmqd", "/etc/pgmqd"])
        try await machine.systemctl("daemon-reload")
    }

    var ledger: String { machine.folder + "/ledger" }

    func openGate() throws {
        try write("", to: machine.folder + "/gate")
    }

    /// Starts it and expects it to be active.
    func start() async throws {
        let (status, text) = try await machine.systemctl("start", "pgmqd")
        guard status == 0 else { throw NeverHappened(description: "not started: \(text)\n\(try await log())") }
    }

    /// A property, as `systemctl show` gives it.
    func property(_ name: String) async throws -> String {
        try await machine.systemctl("show", "pgmqd", "--property", name, "--value").text
    }

    /// What the handlers of LedgerDaemon wrote.
    func entries(_ event: String) -> [String] {
        let text = (try? String(contentsOfFile: ledger, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init).filter { $0.hasPrefix(event) }
    }

    /// The service's entries in the journal.
    func journal() async throws -> [[String: String]] {
        let lines = try await machine.run(["journalctl", "--no-pager", "-u", "pgmqd", "-o", "json"]).text
        return try lines.split(separator: "\n").map { line in
            let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return fields?.compactMapValues { $0 as? String } ?? [:]
        }
    }

    /// Returns when the journal, which comes behind, has this.
    func told(_ text: String) async throws {
        try await eventually("the journal tells: \(text)") { try await log().contains(text) }
    }

    func log() async throws -> String {
        try await machine.run(["journalctl", "--no-pager", "-u", "pgmqd"]).text
    }

    func remove() async {
        await machine.remove()
        await server.remove()
    }

    private func write(_ text: String, to path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: false, encoding: .utf8)
    }
}

/// Runs a test with a service, and ends it whatever happens.
func withService(
    program: String = "LedgerDaemon",
    handler: String = "{ swift = \"ledger\" }",
    workers: Int = 2,
    queues: [String] = ["work"],
    gated: Bool = false,
    watchdog: String = "30s",
    restart: String? = nil,
    isConfigured: Bool = true,
    _ body: (Service) async throws -> Void
) async throws {
    let service = try await Service(
        program: program,
        handler: handler,
        workers: workers,
        queues: queues,
        gated: gated,
        watchdog: watchdog,
        restart: restart,
        isConfigured: isConfigured
    )
    do {
        try await body(service)
        await service.remove()
    } catch {
        let log = try? await service.log()
        await service.remove()
        throw NeverHappened(description: "\(error)\n--- journal:\n\(log ?? "")")
    }
}
