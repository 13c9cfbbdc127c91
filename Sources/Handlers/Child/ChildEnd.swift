/// What became of an ordered child.
enum ChildEnd: Sendable, Equatable {
    /// No program ran; why not.
    case notStarted(String)
    /// - errors: the end of what it wrote to standard error.
    /// - terminated: we had sent it a signal before it ended.
    case ended(ExitStatus, errors: String, terminated: Bool)
}
