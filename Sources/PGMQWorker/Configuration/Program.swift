import Glibc

/// Finds the file of a command's program.
enum Program {
    /// As `execvp` would without a `PATH`, less the folders of an administrator.
    private static let usualSearchPath = "/usr/local/bin:/usr/bin:/bin"

    /// - Parameter shown: how a message may write the name.
    /// - Returns: an absolute path, so that what was checked is what will run.
    static func find(_ name: String, shown: String, searchPath: String?) throws(Mistake) -> String {
        guard !name.isEmpty else { throw Mistake("the program's name is empty") }
        if name.hasPrefix("/") {
            try check(name, shown: shown)
            return name
        }
        guard !name.contains("/") else {
            throw Mistake("\(shown) is neither an absolute path nor a bare name to be found in PATH")
        }
        let folders = (searchPath ?? usualSearchPath).split(separator: ":").filter { $0.hasPrefix("/") }
        let candidates = folders.map { "\($0)/\(name)" }
        if let found = candidates.first(where: { Disk.kind(of: $0) == .file && Disk.isExecutable($0) }) { return found }
        if let file = candidates.first(where: { Disk.kind(of: $0) == .file }) {
            throw Mistake("\(shown) is in PATH at \(file), but not executable")
        }
        let path = folders.joined(separator: ":")
        for (folder, candidate) in zip(folders, candidates) {
            guard case .hidden(EACCES) = Disk.kind(of: candidate) else { continue }
            throw Mistake(
                "there is no \(shown) in PATH (\(path)), as far as can be seen: \(folder): \(Disk.refusal(EACCES))"
            )
        }
        throw Mistake("there is no \(shown) in PATH (\(path))")
    }

    private static func check(_ path: String, shown: String) throws(Mistake) {
        switch Disk.kind(of: path) {
        case .file: break
        case .nothing: throw Mistake("there is no file \(shown)")
        case .hidden(let code): throw Mistake("\(shown) cannot be looked at: \(Disk.refusal(code))")
        case .folder, .other: throw Mistake("\(shown) is not a file")
        }
        guard Disk.isMeantForExecution(path) else { throw Mistake("\(shown) is not executable") }
        guard Disk.isExecutable(path) else { throw Mistake("\(shown) cannot be executed: \(Disk.refusal(errno))") }
    }
}
