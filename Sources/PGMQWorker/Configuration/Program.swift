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
        if let found = candidates.first(where: { Disk.isFile($0) && Disk.isExecutable($0) }) { return found }
        if let file = candidates.first(where: Disk.isFile) {
            throw Mistake("\(shown) is in PATH at \(file), but not executable")
        }
        throw Mistake("there is no \(shown) in PATH (\(folders.joined(separator: ":")))")
    }

    private static func check(_ path: String, shown: String) throws(Mistake) {
        guard Disk.exists(path) else { throw Mistake("there is no file \(shown)") }
        guard Disk.isFile(path) else { throw Mistake("\(shown) is not a file") }
        guard Disk.isExecutable(path) else { throw Mistake("\(shown) is not executable") }
    }
}
