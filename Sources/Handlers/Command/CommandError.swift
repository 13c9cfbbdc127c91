/// What is wrong with the way a command handler is set up, and what to do.
public enum CommandError: Error, Equatable, CustomStringConvertible {
    case empty
    /// A path with a slash that does not begin with one.
    case relative(String)
    case notInPath(String, path: String)
    case notExecutable(String, reason: String)
    case relativeWorkingDirectory(String)
    case nul(String)
    case invalidVariable(String)
    case reservedVariable(String)
    case secretVariable(String)
    case noThread(String)

    public var description: String {
        switch self {
        case .empty:
            "the command is empty; name a program"
        case .relative(let path):
            "the command '\(path)' is a relative path; write it from the root"
        case .notInPath(let name, let path):
            "the command '\(name)' is not in PATH (\(path)); install it, or write its whole path"
        case .notExecutable(let path, let reason):
            "the command '\(path)' cannot be executed (\(reason)); install it, or set its mode with chmod +x"
        case .relativeWorkingDirectory(let path):
            "the working directory '\(path)' is a relative path; write it from the root"
        case .nul(let what):
            "\(what) contains a NUL character, which no program can be given; take it out"
        case .invalidVariable(let name):
            "'\(name)' cannot be the name of an environment variable; it is empty or contains '='"
        case .reservedVariable(let name):
            "the environment variable '\(name)' is set by pgmqd itself; choose a name that does not begin with PGMQD_"
        case .secretVariable(let name):
            "the environment variable '\(name)' is the daemon's own and not handed on; set it for the handler instead"
        case .noThread(let reason):
            "children cannot be watched (\(reason)); raise the limits on open files and tasks"
        }
    }
}
