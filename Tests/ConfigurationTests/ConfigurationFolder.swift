import Foundation
import PGMQWorker

/// A folder of configuration files for one test; gone with it.
struct ConfigurationFolder: ~Copyable {
    let path: String

    init(_ files: [String: String]) throws {
        path = FileManager.default.temporaryDirectory.appending(path: "pgmqd-\(UUID().uuidString)").path
        for (name, text) in files {
            let file = URL(filePath: path).appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(text.utf8).write(to: file)
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func load(environment: [String: String] = [:]) throws(ConfigurationError) -> Configuration {
        try Configuration.load(path: "\(path)/pgmqd.toml", environment: environment)
    }

    /// The error's text, the folder's path left out; empty where there is none.
    func complaint(environment: [String: String] = [:]) -> String {
        do throws(ConfigurationError) {
            _ = try load(environment: environment)
            return ""
        } catch {
            return error.description.replacing("\(path)/", with: "")
        }
    }
}
