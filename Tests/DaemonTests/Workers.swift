import PGMQ
import Postgres
import TestSupport

/// Daemons of `LedgerDaemon`, ready to work.
enum Workers {
    static func start(_ count: Int, _ settings: Settings, _ ledger: Ledger) async throws -> [DaemonProcess] {
        let daemons = try (0..<count).map { _ in
            try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        }
        for daemon in daemons { try await daemon.ready() }
        return daemons
    }

    static func start(_ settings: Settings, _ ledger: Ledger) async throws -> DaemonProcess {
        try await start(1, settings, ledger)[0]
    }

    static func stop(_ daemons: [DaemonProcess]) async throws -> [Int32] {
        var codes: [Int32] = []
        for daemon in daemons { codes.append(try await daemon.stop()) }
        return codes
    }

    /// Starts the daemon again each time it ends, as systemd would, until the closure is content.
    static func supervise(
        _ settings: Settings,
        _ ledger: Ledger,
        until content: () async throws -> Bool
    ) async throws -> [Int32] {
        var ends: [Int32] = []
        var daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
        try await eventually("it is over") {
            if !daemon.isRunning {
                ends.append(try await daemon.exit())
                daemon = try DaemonProcess(settings.text, program: "LedgerDaemon", environment: ledger.environment)
            }
            return try await content()
        }
        ends.append(try await daemon.stop())
        return ends
    }
}

extension TestDatabase {
    /// Waits until nothing is left in the queue, visible or not.
    func emptied(_ queue: String, within limit: Duration = .seconds(300)) async throws {
        try await connected { connection in
            let table = try await connection.quote(identifier: QueueName(queue).table)
            let count = Statement("select count(*) from pgmq.\(table)")
            try await eventually("queue \(queue) is empty", within: limit) {
                try await connection.run([count], deadline: .seconds(10))[0].int(0, 0) == 0
            }
        }
    }
}
