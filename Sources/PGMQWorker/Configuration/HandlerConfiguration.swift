/// What runs the work of a queue.
public enum HandlerConfiguration: Sendable, Equatable {
    /// One child process a message.
    ///
    /// `argv[0]` is the program as it was found; `terminationGrace` lies between SIGTERM and SIGKILL; `snooze` is
    /// how long a message waits whose child asked to be tried later.
    case command(
        argv: [String],
        environment: [String: String],
        workingDirectory: String?,
        terminationGrace: Duration,
        snooze: Duration
    )
    /// A handler that the program registered under this name.
    case swift(name: String)
    /// Every message is done at once.
    case discard

    public static let defaultTerminationGrace = Duration.seconds(5)
    public static let defaultSnooze = Duration.seconds(60)

    /// A command with nothing but its defaults.
    public static func command(_ argv: [String]) -> HandlerConfiguration {
        .command(
            argv: argv,
            environment: [:],
            workingDirectory: nil,
            terminationGrace: defaultTerminationGrace,
            snooze: defaultSnooze
        )
    }
}

/// Arguments and environment may hold secrets, so no description shows them.
extension HandlerConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .command(let argv, _, _, _, _): "command \(argv.first ?? "")"
        case .swift(let name): "swift \(name)"
        case .discard: "discard"
        }
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
