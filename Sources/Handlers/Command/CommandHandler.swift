import Engine

/// Runs a program for each message: the body on standard input, what else is known in the environment.
///
/// The program gets no shell, none of the daemon's descriptors, and a process group of its own. Whatever it leaves
/// behind there is killed when it ends. It is killed itself when the daemon dies, however that happens; what it had
/// started by then is ended by systemd with the unit, and outside systemd by nobody.
///
/// | how it ends | what that means |
/// | --- | --- |
/// | 0 | done |
/// | 65, 100 | dead letter: no further attempt can succeed |
/// | 99 | snooze: not now, and no attempt is spent |
/// | 75, any other status, a signal | the attempt failed; the queue's retry policy applies |
/// | could not be started | no attempt is spent |
///
/// The end of its standard error is the reason. Its standard output is thrown away.
public struct CommandHandler: Handler {
    /// What a child gets of the daemon's own environment, unless told otherwise.
    public static let inheritedVariables = ["PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR"]

    /// Names of variables that begin so are for what the handler itself tells the program.
    public static let reservedPrefix = "PGMQD_"

    /// The program's absolute path.
    public let executable: String

    let snooze: Duration
    /// The part of the environment that is the same for every message.
    let environment: CStringList
    private let arguments: CStringList
    private let workingDirectory: String?
    private let terminationGrace: Duration
    private let loop: ChildLoop

    /// - Parameters:
    ///   - command: the program and its arguments. A name without a slash is looked up in PATH, once, here.
    ///   - environment: variables for the program; they go before inherited ones.
    ///   - workingDirectory: an absolute path; nil for the daemon's.
    ///   - inheriting: names of variables to hand on from the daemon's environment as it is now.
    ///   - terminationGrace: how long a cancelled program may take to end after SIGTERM, before SIGKILL.
    ///   - snooze: what exit status 99 asks for.
    public init(
        command: [String],
        environment: [String: String] = [:],
        workingDirectory: String? = nil,
        inheriting: [String] = CommandHandler.inheritedVariables,
        terminationGrace: Duration = .seconds(5),
        snooze: Duration = .seconds(60)
    ) throws(CommandError) {
        guard let program = command.first, !program.isEmpty else { throw .empty }
        for argument in command where argument.utf8.contains(0) { throw .nul("an argument of '\(program)'") }
        if let workingDirectory {
            guard workingDirectory.hasPrefix("/") else { throw .relativeWorkingDirectory(workingDirectory) }
            guard !workingDirectory.utf8.contains(0) else { throw .nul("the working directory") }
        }
        let variables = try CommandEnvironment.constant(own: environment, inheriting: inheriting)
        executable = try Executable.path(of: program, in: variables["PATH"])
        do {
            loop = try ChildLoop.shared.get()
        } catch {
            throw .noThread(error.description)
        }
        self.environment = CStringList(variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        self.workingDirectory = workingDirectory
        self.terminationGrace = terminationGrace
        self.snooze = snooze
        arguments = CStringList(command)
    }

    /// Checks that the program is there and may be executed, by this user and now.
    public func check() throws(CommandError) {
        if let reason = Executable.problem(with: executable) { throw .notExecutable(executable, reason: reason) }
    }

    public var cancellationAllowance: Duration { terminationGrace }

    public func handle(_ message: Message) async -> Verdict {
        let input: Descriptor?
        do throws(SystemError) {
            input = try message.body.map { body throws(SystemError) in try MemoryFile.holding(body) }
        } catch {
            return .notStarted("cannot start \(executable): no memory file for the body: \(error)")
        }
        let order = ChildOrder(
            path: executable,
            arguments: arguments,
            environment: CommandEnvironment.adding(message, to: environment),
            workingDirectory: workingDirectory,
            input: input,
            grace: terminationGrace
        )
        return Verdict(await loop.run(order), snooze: snooze)
    }
}
