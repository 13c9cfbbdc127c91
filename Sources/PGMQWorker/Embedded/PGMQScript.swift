import Foundation

/// Finds the file with PGMQ's SQL, which is not part of this repository, and fetches it once where it is missing.
struct PGMQScript {
    let source: PGMQSource

    /// Own file, cache of this user or of the machine, a Python package that is installed, PyPI: the first that has it.
    func locate() async throws -> String {
        switch source {
        case .file(let path): return try existing(path, named: "the PGMQ SQL file")
        case .release(let release): return try await locate(release)
        case .automatic:
            if let path = ProcessInfo.processInfo.environment["PGMQD_PGMQ_SQL"], !path.isEmpty {
                return try existing(path, named: "PGMQD_PGMQ_SQL")
            }
            return try await locate(.v1_13_0)
        }
    }

    private func existing(_ path: String, named name: String) throws -> String {
        let whole = URL(fileURLWithPath: path).path
        guard FileManager.default.isReadableFile(atPath: whole) else {
            throw EmbeddedPostgresError("\(whole) (\(name)) cannot be read.", advice: "Name a file that exists.")
        }
        return whole
    }

    private func locate(_ release: PGMQRelease) async throws -> String {
        let name = "pgmq-\(release.version).sql"
        let cache = Self.cacheFolder()
        let cached = [cache, "/var/cache/pgmqd"].map { "\($0)/\(name)" }
        if let path = cached.first(where: FileManager.default.isReadableFile) { return path }
        guard let python = ProgramRun.find("python3") else {
            throw EmbeddedPostgresError(
                "The server has no pgmq extension, and python3, which would fetch PGMQ's SQL from PyPI, is missing.",
                advice: "Run deploy/setup, or set PGMQD_PGMQ_SQL to a file with PGMQ's SQL."
            )
        }
        if let path = try? await run(python, Self.findInstalled, [release.pythonPackage]), !path.isEmpty { return path }
        do {
            return try await run(
                python,
                Self.fetch,
                [release.pythonPackage, release.wheelSHA256, "\(cache)/\(name)"],
                deadline: .seconds(300)
            )
        } catch let error as EmbeddedPostgresError {
            throw EmbeddedPostgresError(
                "PGMQ \(release.version) could not be fetched (Python package pgmq \(release.pythonPackage)).",
                output: error.output,
                advice: "Run deploy/setup where there is a network, or set PGMQD_PGMQ_SQL to a file with PGMQ's SQL."
            )
        }
    }

    /// Python gets the whole environment: proxies, indexes and certificates of pip are set there.
    private func run(
        _ python: String,
        _ script: String,
        _ arguments: [String],
        deadline: Duration = .seconds(30)
    ) async throws -> String {
        try await ProgramRun(
            executable: python,
            arguments: ["-c", script] + arguments,
            environment: ProcessInfo.processInfo.environment,
            deadline: deadline
        ).output()
    }

    private static func cacheFolder() -> String {
        if geteuid() == 0 { return "/var/cache/pgmqd" }
        let environment = ProcessInfo.processInfo.environment
        if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") { return "\(cache)/pgmqd" }
        // Not NSHomeDirectory alone: it looks past HOME.
        return "\(environment["HOME"] ?? NSHomeDirectory())/.cache/pgmqd"
    }

    private static let findInstalled = """
        import importlib.metadata, sys
        try:
            found = importlib.metadata.distribution("pgmq")
        except importlib.metadata.PackageNotFoundError:
            sys.exit()
        if found.version == sys.argv[1]:
            print(found.locate_file("pgmq/sql/pgmq.sql"))
        """

    /// The hash makes pip refuse any other file; the rename makes the cache whole or absent.
    private static let fetch = """
        import os, pathlib, subprocess, sys, tempfile, zipfile
        package, digest, target = sys.argv[1:]
        target = pathlib.Path(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sys.exit(f"The cache folder cannot be made: {error}")
        with tempfile.TemporaryDirectory() as folder:
            wanted = pathlib.Path(folder, "requirements.txt")
            wanted.write_text(f"pgmq=={package} --hash=sha256:{digest}\\n")
            pip = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--only-binary=:all:", "--require-hashes", "--dest", folder, "--requirement", str(wanted)],
                stdout=sys.stderr)
            if pip.returncode:
                sys.exit(pip.returncode)
            wheel, = pathlib.Path(folder).glob("*.whl")
            sql = zipfile.ZipFile(wheel).read("pgmq/sql/pgmq.sql")
        part = target.with_name(f"{target.name}.{os.getpid()}")
        part.write_bytes(sql)
        part.replace(target)
        print(target)
        """
}
