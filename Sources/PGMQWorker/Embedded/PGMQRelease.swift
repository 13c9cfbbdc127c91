/// A release of PGMQ, and the package on PyPI that carries its SQL for servers without the extension.
public struct PGMQRelease: Sendable, Equatable {
    public let version: String
    public let pythonPackage: String
    /// Of the package's wheel: what runs as superuser is what was looked at.
    let wheelSHA256: String

    public static let v1_13_0 = PGMQRelease(
        version: "1.13.0",
        pythonPackage: "1.1.4",
        wheelSHA256: "4d9e7aa517295669d46a11d3d13106efbdc738d0e127d84c567b6d4c936e7d1d"
    )
    public static let v1_11_1 = PGMQRelease(
        version: "1.11.1",
        pythonPackage: "1.1.3",
        wheelSHA256: "d854e477a94d446af50dbc56a3bb01e8c4c38a7ec6c562bf5acae2f0802743d7"
    )
}
