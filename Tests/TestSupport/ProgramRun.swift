import Foundation
import Glibc

/// `pgmqd` run to its end, as its user sees it.
public struct ProgramRun: Sendable {
    public let code: Int32
    /// Standard output.
    public let data: Data
    public let errors: String

    public var text: String { String(decoding: data, as: UTF8.self) }
    public var lines: [String] { text.split(separator: "\n").map(String.init) }

    /// - Parameters:
    ///   - program: a program's absolute path; `pgmqd` by default.
    ///   - input: its standard input.
    public init(
        _ arguments: [String],
        program: String? = nil,
        environment: [String: String] = [:],
        input: String = "",
        within limit: Duration = .seconds(300)
    ) async throws {
        let folder = try TestFolder()
        let child = try Child(
            [program ?? DaemonProcess.programs + "/pgmqd"] + arguments,
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder.path].merging(environment) { $1 },
            input: folder.write("input", input),
            output: folder.path + "/output",
            errors: folder.path + "/errors"
        )
        do {
            try await eventually("\(arguments) ends", within: limit) { child.exit != nil }
        } catch {
            child.signal(SIGKILL)
            throw error
        }
        code = child.exit ?? -1
        data = folder.data("output") ?? Data()
        errors = folder.text("errors") ?? ""
    }
}
