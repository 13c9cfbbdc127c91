// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours: Swift 6 mode comes with the tools version; a warning is an error.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "pgmqd",
    products: [
        .library(name: "PGMQWorker", targets: ["PGMQWorker"]),
        .executable(name: "pgmqd", targets: ["pgmqd"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Ground: C.
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CSpawn"),
        .target(name: "CDaemonProcess"),
        .target(name: "CStart", dependencies: ["CDaemonProcess"]),

        // Floor 1.
        .target(name: "Engine", dependencies: [collections, logging], swiftSettings: strict),
        .target(name: "Postgres", dependencies: ["CLibPQ"], swiftSettings: strict),
        .target(name: "Systemd", dependencies: ["CSystemd", collections, logging], swiftSettings: strict),

        // Floor 2.
        .target(name: "Migrations", path: "sql", resources: [.embedInCode("migrations")], swiftSettings: strict),
        .target(
            name: "PGMQ",
            dependencies: ["Engine", "Postgres", "Migrations", logging],
            swiftSettings: strict
        ),
        .target(name: "Handlers", dependencies: ["Engine", "CSpawn"], swiftSettings: strict),

        // Floor 3.
        .target(
            name: "PGMQWorker",
            dependencies: [
                "CDaemonProcess", "CSpawn", "Engine", "Handlers", "PGMQ", "Postgres", "Systemd", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ],
            swiftSettings: strict
        ),

        // Roof.
        .executableTarget(
            name: "pgmqd",
            dependencies: [
                "CStart", "Engine", "PGMQ", "PGMQWorker", "Postgres", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(name: "ExampleDaemon", dependencies: ["Handlers", "PGMQWorker"], swiftSettings: strict),

        // Tests.
        .target(name: "CSanitizedMutex", path: "Tests/CSanitizedMutex"),
        .target(
            name: "TestSupport",
            dependencies: ["CSanitizedMutex", "PGMQ", "PGMQWorker", "Postgres"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "LedgerDaemon",
            dependencies: ["CSanitizedMutex", "Handlers", "PGMQWorker"],
            path: "Tests/LedgerDaemon",
            swiftSettings: strict
        ),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "PGMQ", "PGMQWorker", "Postgres", "TestSupport", "pgmqd", "ExampleDaemon", "LedgerDaemon",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SystemdLiveTests",
            dependencies: ["PGMQ", "PGMQWorker", "TestSupport", "pgmqd", "LedgerDaemon"],
            exclude: ["machine.sh"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "Engine", "PGMQ", "PGMQWorker", "Postgres", "TestSupport", "pgmqd", "LedgerDaemon", logging,
            ],
            swiftSettings: strict
        ),
        .target(name: "QueueModel", dependencies: ["Engine"], path: "Tests/QueueModel", swiftSettings: strict),
        .testTarget(name: "EngineTests", dependencies: ["Engine", "QueueModel", logging], swiftSettings: strict),
        .testTarget(
            name: "ModelTests",
            dependencies: ["Engine", "PGMQ", "Postgres", "QueueModel", "TestSupport", logging],
            swiftSettings: strict
        ),
        .testTarget(name: "PostgresTests", dependencies: ["Postgres", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HandlersTests", dependencies: ["CSpawn", "Engine", "Handlers"], swiftSettings: strict),
        .testTarget(name: "SystemdTests", dependencies: ["Systemd", logging], swiftSettings: strict),
        .testTarget(
            name: "ConfigurationTests",
            dependencies: ["Engine", "PGMQ", "PGMQWorker", "Systemd", "TestSupport", "pgmqd", logging],
            swiftSettings: strict
        ),
    ]
)
