import Foundation
import Systemd
import Testing

/// In processes of their own: the environment must not change under the threads of other tests.
@Suite struct ServiceManagerEnvironmentTests {
    static let names = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FDSTORE",
    ]

    @Test func `what the manager set is read once and taken away`() async {
        await #expect(processExitsWith: .success) {
            let socket = try ManagerSocket()
            for name in Self.names { setenv(name, "1", 1) }
            setenv("NOTIFY_SOCKET", socket.address, 1)
            setenv("WATCHDOG_USEC", "30000000", 1)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            let manager = ServiceManager.fromEnvironment()
            try #require(manager.isPresent)
            try #require(manager.watchdogInterval == .seconds(30))
            try #require(Self.names.filter { getenv($0) != nil } == [])
            manager.ready()
            try #require(socket.receive() == ["READY=1"])
        }
    }

    @Test func `a watchdog of another process is not ours`() async {
        await #expect(processExitsWith: .success) {
            setenv("WATCHDOG_USEC", "30000000", 1)
            setenv("WATCHDOG_PID", "1", 1)
            let manager = ServiceManager.fromEnvironment()
            try #require(manager.watchdogInterval == nil)
            try #require(manager.isPresent == false)
            try #require(Self.names.filter { getenv($0) != nil } == [])
        }
    }
}
