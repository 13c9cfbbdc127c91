import Engine
import Foundation
import PGMQWorker
import Testing

@Suite struct ExampleTests {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "config").path

    static func examples() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".toml") }.sorted()
    }

    private func load(_ name: String) throws -> Configuration {
        let credentials = try ConfigurationFolder(["database-password": "s3cret\n"])
        return try Configuration.load(
            path: "\(Self.folder)/\(name)",
            environment: ["CREDENTIALS_DIRECTORY": credentials.path, "DATABASE_HOST": "db.internal"]
        )
    }

    @Test func `there are examples`() throws {
        #expect(try Self.examples() == ["minimal.toml", "pgmqd.toml", "production.toml"])
    }

    @Test(arguments: try examples())
    func `each example loads`(_ name: String) throws {
        #expect(try !load(name).queues.isEmpty)
    }

    /// What the commented file calls a default is one.
    @Test func `the full example says what the minimal one leaves out`() throws {
        #expect(try load("pgmqd.toml") == load("minimal.toml"))
    }

    @Test func `the production example means what it says`() throws {
        let configuration = try load("production.toml")
        #expect(configuration.database.url.value.contains("host=db.internal port=6432"))
        #expect(configuration.database.url.value.contains("password='s3cret' "))
        #expect(configuration.queues.map(\.workers) == [32, 2, 4, 4, 1, 4])
        let reports = try #require(configuration.queues.first { $0.name == "reports" })
        #expect(reports.handlerTimeout == .seconds(3 * 3600))
        #expect(reports.retry == .init(maxAttempts: 3, first: .seconds(300), factor: 3, max: .seconds(6 * 3600)))
        #expect(
            reports.handler
                == .command(
                    argv: ["/usr/bin/nice", "-n", "10", "/bin/true"],
                    environment: ["LANG": "C.UTF-8", "REPORT_HOST": "db.internal"],
                    workingDirectory: "/tmp",
                    terminationGrace: .seconds(30),
                    snooze: .seconds(600)
                )
        )
    }
}
