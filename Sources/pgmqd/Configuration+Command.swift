import Foundation
import PGMQWorker

extension Configuration {
    /// The file's, with its mistakes as a ``Failure``.
    static func ofCommand(_ path: String) throws(Failure) -> Configuration {
        do throws(ConfigurationError) {
            return try load(path: path, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw .configuration(error)
        }
    }
}
