import DequeModule

/// Lines that wait to be written. It is bounded: a line that does not fit is dropped and counted.
///
/// After a drop no line is taken until half of the queue is free. Otherwise a slow reader would be told of drops after
/// every line that he reads.
package struct LogQueue<Item: Sendable>: Sendable {
    package enum Element: Sendable {
        case item(Item)
        /// That many lines are missing here.
        case dropped(Int)
    }

    private let limits: LogLimits
    private var waiting: Deque<(element: Element, size: Int)> = []
    private var bytes = 0
    /// Lines dropped since the last count that was taken.
    private var dropped = 0

    package init(_ limits: LogLimits) {
        self.limits = limits
    }

    /// Whether there is nothing to take, now or later.
    package var isEmpty: Bool { waiting.isEmpty && dropped == 0 }

    package var isDropping: Bool { dropped > 0 }

    /// - Parameter lines: how many are lost if the item is dropped.
    package mutating func append(_ item: Item, size: Int, lines: Int = 1) {
        guard dropped == 0, waiting.count < limits.lines, bytes + size <= limits.bytes else { return drop(lines) }
        waiting.append((.item(item), size))
        bytes += size
    }

    package mutating func drop(_ lines: Int) {
        dropped += lines
    }

    package mutating func takeFirst() -> Element? {
        if dropped > 0, waiting.count <= limits.lines / 2, bytes <= limits.bytes / 2 {
            waiting.append((.dropped(dropped), 0))
            dropped = 0
        }
        guard let first = waiting.popFirst() else { return nil }
        bytes -= first.size
        return first.element
    }
}
