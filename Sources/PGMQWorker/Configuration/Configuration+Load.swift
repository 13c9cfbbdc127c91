extension Configuration {
    /// Reads the file and the `conf.d/*.toml` beside it, in the order of their names.
    ///
    /// - Parameter environment: where `${NAME}`, `CREDENTIALS_DIRECTORY` and the `PATH` for commands are looked up.
    /// - Throws: every problem of every file at once.
    public static func load(path: String, environment: [String: String]) throws(ConfigurationError) -> Configuration {
        let found = ConfigurationSource.find(path)
        return try read(found.sources, unreadable: found.problems, environment: environment)
    }

    /// Reads texts that are in memory already.
    ///
    /// - Parameter unreadable: what went wrong with files that are not among the sources. What seems missing may
    ///   stand in those, so it is not complained of.
    package static func read(
        _ sources: [ConfigurationSource],
        unreadable: [ConfigurationError.Problem] = [],
        environment: [String: String]
    ) throws(ConfigurationError) -> Configuration {
        let log = ProblemLog(unreadable)
        let files = sources.compactMap { ConfigurationFile($0, log: log) }
        let context = ReadingContext(
            log: log,
            values: ValueSources(environment: environment),
            isComplete: unreadable.isEmpty && files.count == sources.count
        )
        let configuration = files.first.map { main in
            ConfigurationReader(main: main, files: files, context: context).read()
        }
        guard let configuration, log.problems.isEmpty else {
            throw ConfigurationError(problems: log.sorted(files: sources.map(\.path)))
        }
        return configuration
    }
}
