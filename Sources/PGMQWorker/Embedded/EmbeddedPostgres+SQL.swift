import Foundation

extension EmbeddedPostgres {
    /// For libpq: the database on the private socket.
    public var url: String { url(database: database) }

    /// For libpq: another database on the private socket.
    public func url(database: String) -> String {
        "postgresql:///\(Self.encoded(database))?host=\(Self.encoded(socketDirectory))&port=\(port)&user=postgres"
    }

    /// For clients that cannot use a Unix socket; nil without a port. Holds the password.
    public var tcpURL: String? {
        guard listensOnTCP else { return nil }
        guard let password = try? String(contentsOfFile: folder.password, encoding: .utf8) else { return nil }
        return "postgresql://postgres:\(password)@127.0.0.1:\(port)/\(Self.encoded(database))"
    }

    /// Runs a script with psql, each statement by itself, up to the first that fails.
    ///
    /// - Returns: the rows, unaligned (`a|b`), one a line.
    @discardableResult
    public func psql(_ script: String, database: String? = nil) async throws -> String {
        try await psql(runningPrograms(), script, database: database ?? self.database, more: [])
    }

    /// Installs PGMQ unless it is there already.
    public func installPGMQ(_ source: PGMQSource = .automatic) async throws {
        let there = try await psql("select pg_catalog.to_regclass('pgmq.meta') is not null")
        guard there != "t" else { return }
        if case .automatic = source {
            let offered = try await psql(
                """
                select pg_catalog.count(*) from pg_catalog.pg_available_extensions
                where name operator(pg_catalog.=) 'pgmq'
                """
            )
            if offered != "0" {
                try await psql("create extension if not exists pgmq")
                return
            }
        }
        let file = try await PGMQScript(source: source).locate()
        // One transaction: half an installation would be taken for a whole one.
        _ = try await psql(runningPrograms(), "", database: database, more: ["-1", "-f", file])
    }

    /// The part of a start that needs a connection.
    func prepareDatabase(_ programs: PostgresPrograms) async throws {
        let create = """
            select pg_catalog.format('create database %I', :'name')
            where not exists (
                select from pg_catalog.pg_database where datname operator(pg_catalog.=) :'name'
            ) \\gexec
            """
        _ = try await psql(programs, create, database: "postgres", more: ["-v", "name=\(database)"])
        guard listensOnTCP else { return }
        let password = try ensurePassword()
        // By standard input: arguments can be read by all users.
        _ = try await psql(programs, "alter role postgres password '\(password)'", database: "postgres", more: [])
    }

    private func psql(
        _ programs: PostgresPrograms,
        _ script: String,
        database: String,
        more: [String]
    ) async throws -> String {
        let options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url(database: database)]
        return try await ProgramRun(
            executable: programs.psql,
            arguments: options + more,
            input: script,
            advice: "PostgreSQL's words above name the cause; the server's log is \(logFile)."
        ).output()
    }

    private func ensurePassword() throws -> String {
        if let known = try? String(contentsOfFile: folder.password, encoding: .utf8), !known.isEmpty { return known }
        var random = SystemRandomNumberGenerator()
        let new = (0..<4).map { _ in String(random.next(), radix: 36) }.joined()
        let made = FileManager.default.createFile(
            atPath: folder.password,
            contents: Data(new.utf8),
            attributes: [.posixPermissions: 0o600]
        )
        guard made else {
            throw EmbeddedPostgresError(
                "\(folder.password) cannot be written.",
                advice: "Run this as the user who made the state folder, or name another folder."
            )
        }
        return new
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.intersection(asciiCharacters)) ?? text
    }

    private static let asciiCharacters = CharacterSet(charactersIn: Unicode.Scalar(0)..<Unicode.Scalar(128))
}
