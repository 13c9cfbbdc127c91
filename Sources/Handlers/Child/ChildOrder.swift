/// What a child is to be.
struct ChildOrder: Sendable {
    /// The program's absolute path. What the program sees as its own name is the first argument.
    let path: String
    let arguments: CStringList
    let environment: CStringList
    /// Nil: the daemon's.
    let workingDirectory: String?
    /// Nil: empty.
    let input: Descriptor?
    /// How long a child may take to end after SIGTERM, before SIGKILL.
    let grace: Duration
}
