import Glibc

enum Executable {
    /// The absolute path of a command: itself, or where a shell would find it.
    ///
    /// An absolute path need not exist yet: a program may be installed after the daemon has started.
    static func path(of command: String, in path: String?) throws(CommandError) -> String {
        if command.hasPrefix("/") { return command }
        guard !command.contains("/") else { throw .relative(command) }
        let path = path ?? "/usr/local/bin:/usr/bin:/bin"
        // An empty or relative entry would mean wherever the daemon happens to stand.
        for directory in path.split(separator: ":") where directory.hasPrefix("/") {
            let candidate = "\(directory)/\(command)"
            if problem(with: candidate) == nil { return candidate }
        }
        throw .notInPath(command, path: path)
    }

    /// Why the file cannot be executed, as far as can be told without doing it.
    static func problem(with path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return SystemError.last.description }
        guard status.st_mode & S_IFMT == S_IFREG else { return "not a file" }
        guard access(path, X_OK) == 0 else { return SystemError.last.description }
        return nil
    }
}
