import Foundation

/// A program run to its end: initdb, psql, python3. No shell is in between.
struct ProgramRun {
    let executable: String
    let arguments: [String]
    /// Nothing is inherited unless it is named here.
    var environment: [String: String] = ProgramRun.cleanEnvironment
    var input = ""
    var deadline: Duration = .seconds(60)
    /// What to do when it fails.
    var advice = "Its own words above name the cause."

    /// For PostgreSQL's programs: no PG* variable may lead psql elsewhere, no NOTIFY_SOCKET let the server tell systemd
    /// in our name that it is ready, and messages come in one language.
    static let cleanEnvironment: [String: String] = {
        var clean = ["LC_ALL": "C.UTF-8", "PATH": searchPath.joined(separator: ":")]
        for name in ["HOME", "TZ", "TMPDIR"] { clean[name] = ProcessInfo.processInfo.environment[name] }
        return clean
    }()

    /// The folders of PATH, with those of the system behind them.
    static let searchPath: [String] = {
        let own = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = own.split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
        return folders + ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].filter { !folders.contains($0) }
    }()

    static func find(_ program: String) -> String? {
        searchPath.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// - Returns: what the program wrote to standard output, without the last newline.
    func output() async throws -> String {
        try Task.checkCancellation()
        let files = try (input: ScratchFile(holding: input), output: ScratchFile(), errors: ScratchFile())
        let process = try await ChildProcess.start(
            [executable] + arguments,
            environment: environment,
            input: files.input.handle,
            output: files.output.handle,
            errors: files.errors.handle
        )
        // Set-up programs leave nothing behind that a second run could not deal with.
        let watch = Task {
            try await Task.sleep(for: deadline)
            process.signal(SIGKILL)
        }
        defer { watch.cancel() }
        await withTaskCancellationHandler {
            // A task of its own: in a cancelled one the wait would be over at once.
            await Task { await process.waitForExit() }.value
        } onCancel: {
            process.signal(SIGKILL)
        }
        guard process.status == 0 else {
            try Task.checkCancellation()
            let status = process.status ?? 0
            let signal = status & 0x7f
            let how = signal == 0 ? "status \(status >> 8)" : "signal \(signal), \(deadline) were allowed"
            throw EmbeddedPostgresError(
                "\(executable) failed (\(how)).",
                output: files.errors.tail(),
                advice: advice
            )
        }
        let text = files.output.text()
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
