/// The migrations of our own schema, in the order of their versions. Compiled in: the program needs no files.
public struct Migration: Sendable {
    public let version: Int
    public let sql: String

    public static let all: [Migration] = [
        Migration(version: 1, bytes: PackageResources.journal_sql),
        Migration(version: 2, bytes: PackageResources.doorbell_sql),
        Migration(version: 3, bytes: PackageResources.delivery_sql),
        Migration(version: 4, bytes: PackageResources.condition_sql),
        Migration(version: 5, bytes: PackageResources.crashes_sql),
        Migration(version: 6, bytes: PackageResources.qualified_sql),
    ]

    private init(version: Int, bytes: [UInt8]) {
        self.version = version
        sql = String(decoding: bytes, as: UTF8.self)
    }
}
