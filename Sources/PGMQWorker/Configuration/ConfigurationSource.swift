/// One file's path and text.
package struct ConfigurationSource: Sendable {
    package let path: String
    package let text: String

    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }

    /// The file, then the `conf.d/*.toml` beside it; and what could not be read.
    static func find(_ path: String) -> (sources: [ConfigurationSource], problems: [ConfigurationError.Problem]) {
        var sources: [ConfigurationSource] = []
        var problems: [ConfigurationError.Problem] = []
        let folder = path.lastIndex(of: "/").map { path[...$0] + "conf.d" } ?? "conf.d"
        var paths = [path]
        do throws(Mistake) {
            let names = try Disk.names(in: folder)
            // A dot-file is an editor's or a package manager's own.
            paths += names.filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }.map { "\(folder)/\($0)" }
        } catch {
            problems.append(.init(file: folder, message: error.message))
        }
        for path in paths {
            do throws(Mistake) {
                sources.append(ConfigurationSource(path: path, text: try Disk.text(of: path)))
            } catch {
                problems.append(.init(file: path, message: error.message))
            }
        }
        return (sources, problems)
    }
}
