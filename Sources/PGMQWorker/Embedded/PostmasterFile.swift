import Foundation

/// What a server says about itself in `postmaster.pid`.
struct PostmasterFile {
    let process: pid_t
    /// The eighth line, written last: whether connections are accepted.
    let isReady: Bool

    init?(path: String) {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, let number = pid_t(first) else { return nil }
        process = number
        isReady = lines.count > 7 && lines[7].hasPrefix("ready")
    }
}
