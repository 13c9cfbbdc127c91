import Engine

/// What happens at some moment of a history.
enum Event {
    /// The world does something: a producer, a fault, an operator.
    case act
    case alarm(daemon: Int, incarnation: Int, serial: Int)
    case runEnds(daemon: Int, worker: Int, run: Int)
    case executes(call: Int)
    case commits(call: Int)
    case replies(call: Int)
    case sendEnds(transaction: Int, epoch: Int, commits: Bool, first: Int, count: Int)
    case lockEnds(transaction: Int, epoch: Int)
    case wakes(daemon: Int, Wake)
    case starts(daemon: Int, incarnation: Int)
    case resumes(daemon: Int)
    case serverIsUp
    case flush
    case heals
}

/// Events in the order of their times; at the same time, in the order they were put.
struct EventQueue {
    private struct Item {
        let time: Int64
        let serial: Int
        let event: Event

        func comes(before other: Item) -> Bool {
            time != other.time ? time < other.time : serial < other.serial
        }
    }

    private var heap: [Item] = []
    private var serial = 0

    mutating func put(_ event: Event, at time: Int64) {
        serial += 1
        heap.append(Item(time: time, serial: serial, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].comes(before: heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> (time: Int64, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return (first.time, first.event) }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].comes(before: heap[least]) { least = child }
            }
            guard least != parent else { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return (first.time, first.event)
    }
}
