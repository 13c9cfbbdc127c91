import Foundation

/// What `deploy/setup --test` has fetched: for the machine as root, for its user otherwise.
public enum CacheFolder {
    /// - Returns: the path of the first that is there.
    public static func path(of name: String) -> String? {
        let user = ProcessInfo.processInfo.environment
        let own = (user["XDG_CACHE_HOME"] ?? (user["HOME"] ?? "") + "/.cache") + "/pgmqd"
        return ["/var/cache/pgmqd", own].map { "\($0)/\(name)" }.first(where: FileManager.default.fileExists)
    }
}
