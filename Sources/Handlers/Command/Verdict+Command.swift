import Engine

extension Verdict {
    /// What a program's end means; see ``CommandHandler``.
    init(_ end: ChildEnd, snooze: Duration) {
        switch end {
        case .notStarted(let reason):
            self = .notStarted(reason)
        case .ended(let status, let errors, terminated: true):
            // Even at status 0: many programs take SIGTERM as a wish to end, work done or not.
            self = .failed("terminated by pgmqd: " + Self.reason(status, errors))
        case .ended(.exited(0), _, terminated: false):
            self = .done
        case .ended(.exited(99), _, terminated: false):
            self = .snooze(snooze)
        case .ended(.exited(let status), let errors, terminated: false) where status == 65 || status == 100:
            self = .deadLetter(Self.reason(.exited(status), errors))
        case .ended(let status, let errors, terminated: false):
            self = .failed(Self.reason(status, errors))
        }
    }

    private static func reason(_ status: ExitStatus, _ errors: String) -> String {
        errors.isEmpty ? status.description : "\(status): \(errors)"
    }
}
