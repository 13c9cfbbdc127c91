/// Collects the problems of a whole reading.
final class ProblemLog {
    private(set) var problems: [ConfigurationError.Problem]

    init(_ problems: [ConfigurationError.Problem] = []) {
        self.problems = problems
    }

    func add(_ problem: ConfigurationError.Problem) {
        problems.append(problem)
    }

    func add(_ message: String, at place: Place) {
        problems.append(place.problem(message))
    }

    /// Whether nothing was said of these keys yet: a value that was refused stands in no further contradiction.
    func isClean(_ places: Place...) -> Bool {
        !places.contains { place in
            problems.contains { $0.file == place.file.path && $0.line == place.line && $0.key == place.shown }
        }
    }

    /// In the order a reader of the files meets them.
    func sorted(files: [String]) -> [ConfigurationError.Problem] {
        let order = Dictionary(zip(files, files.indices), uniquingKeysWith: { first, _ in first })
        return problems.enumerated().sorted { a, b in
            (order[a.element.file] ?? -1, a.element.line ?? 0, a.offset)
                < (order[b.element.file] ?? -1, b.element.line ?? 0, b.offset)
        }.map(\.element)
    }
}
