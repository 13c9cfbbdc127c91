/// Why the private PostgreSQL could not be had: what happened, where, and what to do about it.
public struct EmbeddedPostgresError: Error, CustomStringConvertible, Sendable {
    public let problem: String
    /// What the server or the program said; may be several lines.
    public let output: String
    public let advice: String

    init(_ problem: String, output: String = "", advice: String) {
        self.problem = problem
        self.output = output
        self.advice = advice
    }

    public var description: String {
        let indented = output.split(separator: "\n").map { "    \($0)" }
        return ([problem] + indented + [advice]).joined(separator: "\n")
    }
}
