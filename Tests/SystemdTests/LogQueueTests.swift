import Systemd
import Testing

@Suite struct LogQueueTests {
    private var queue: LogQueue<Int>

    init() {
        var limits = LogLimits()
        limits.lines = 4
        limits.bytes = 100
        queue = LogQueue(limits)
    }

    private mutating func take() -> String? {
        switch queue.takeFirst() {
        case .item(let number): "\(number)"
        case .dropped(let count): "dropped \(count)"
        case nil: nil
        }
    }

    @Test mutating func `what was appended comes out in order`() {
        for number in 0..<3 { queue.append(number, size: 10) }
        #expect([take(), take(), take(), take()] == ["0", "1", "2", nil])
        #expect(queue.isEmpty)
    }

    @Test mutating func `a full queue drops, and the count comes where the lines are missing`() {
        for number in 0..<6 { queue.append(number, size: 10) }
        #expect(queue.isDropping)
        #expect(take() == "0")
        // Not yet half empty.
        queue.append(6, size: 10)
        #expect(take() == "1")
        #expect(take() == "2")
        queue.append(7, size: 10)
        #expect([take(), take(), take(), take()] == ["3", "dropped 3", "7", nil])
    }

    @Test mutating func `bytes fill it as lines do`() {
        queue.append(0, size: 60)
        queue.append(1, size: 60)
        queue.append(2, size: 10)
        #expect([take(), take(), take()] == ["0", "dropped 2", nil])
        queue.append(3, size: 100)
        #expect([take(), take()] == ["3", nil])
    }

    @Test mutating func `a line larger than the queue is counted even when nothing waits`() {
        queue.append(0, size: 101)
        #expect(!queue.isEmpty)
        #expect([take(), take()] == ["dropped 1", nil])
        #expect(queue.isEmpty)
    }

    @Test mutating func `an item may stand for many lines`() {
        queue.append(0, size: 101, lines: 40)
        queue.drop(2)
        #expect(take() == "dropped 42")
    }
}
