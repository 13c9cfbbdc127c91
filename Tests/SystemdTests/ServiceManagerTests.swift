import Foundation
import Systemd
import Testing

@Suite struct ServiceManagerTests {
    @Test func `ready goes out with its status in one datagram`() throws {
        let socket = try ManagerSocket()
        ServiceManager(notifySocket: socket.address).ready(status: "Processing 0/16")
        #expect(socket.receive() == ["READY=1", "STATUS=Processing 0/16"])
        #expect(socket.receive() == nil)
    }

    @Test func `an abstract name is reached as well`() throws {
        let socket = try ManagerSocket(abstract: true)
        #expect(ServiceManager(notifySocket: socket.address).watchdog())
        #expect(socket.receive() == ["WATCHDOG=1"])
    }

    @Test func `reloading carries the monotonic clock in the same datagram`() throws {
        let socket = try ManagerSocket()
        ServiceManager(notifySocket: socket.address).reloading()
        let lines = try #require(socket.receive())
        #expect(lines.first == "RELOADING=1")
        let stamp = try #require(lines.last.flatMap { UInt64($0.dropFirst("MONOTONIC_USEC=".count)) })
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
        #expect(stamp <= microseconds && microseconds - stamp < 60_000_000)
    }

    @Test func `states of every kind`() throws {
        let socket = try ManagerSocket()
        let manager = ServiceManager(notifySocket: socket.address)
        manager.notify([.stopping, .extendTimeout(.milliseconds(1500)), .watchdogTrigger, .failure(errno: 13)])
        #expect(
            socket.receive() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=1500000", "WATCHDOG=trigger", "ERRNO=13"]
        )
        manager.extendTimeout(.seconds(-1))
        #expect(socket.receive() == ["EXTEND_TIMEOUT_USEC=0"])
    }

    @Test func `a status from outside cannot add an assignment`() throws {
        let socket = try ManagerSocket()
        ServiceManager(notifySocket: socket.address).status("refused\nREADY=1\u{1b}[2J")
        #expect(socket.receive() == ["STATUS=refused READY=1 [2J"])
    }

    @Test func `a full queue does not hold the caller`() throws {
        let socket = try ManagerSocket()
        let manager = ServiceManager(notifySocket: socket.address)
        var sent = 0
        while sent < 100_000, manager.watchdog() { sent += 1 }
        #expect(sent > 0 && sent < 100_000)
        _ = socket.receive()
        #expect(manager.watchdog())
    }

    @Test(arguments: [nil, "", "/", "@", "relative", "vsock:2:1", "/nowhere", String(repeating: "/x", count: 80)])
    func `nobody listens and nothing happens`(address: String?) {
        #expect(ServiceManager(notifySocket: address).notify([.ready]) == false)
    }
}
