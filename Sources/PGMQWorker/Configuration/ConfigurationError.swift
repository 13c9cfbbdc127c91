/// Why a configuration was refused: all of it, not the first thing found.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// One thing to put right. Holds no secret.
    public struct Problem: Sendable, Equatable, CustomStringConvertible {
        public var file: String
        public var line: Int?
        public var column: Int?
        /// Such as `queue "emails".backoff.first`; nil where the file as a whole is meant.
        public var key: String?
        public var message: String

        public init(file: String, line: Int? = nil, column: Int? = nil, key: String? = nil, message: String) {
            self.file = file
            self.line = line
            self.column = column
            self.key = key
            self.message = message
        }

        /// One line: `/etc/pgmqd/pgmqd.toml:12: queue "emails".worker: unknown key; did you mean workers?`
        public var description: String {
            let position = [line, column].compactMap { $0 }.map { ":\($0)" }.joined()
            return "\(file)\(position): \(key.map { "\($0): " } ?? "")\(message)"
        }
    }

    public let problems: [Problem]

    public init(problems: [Problem]) {
        self.problems = problems
    }

    /// One line a problem.
    public var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}
