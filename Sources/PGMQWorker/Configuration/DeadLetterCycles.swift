/// Finds dead-letter queues that lead back to where they came from.
package enum DeadLetterCycles {
    /// Each circle once, beginning with the queue of it that is named first.
    ///
    /// - Parameter targets: the queues with their dead-letter queues; of two pairs with one name the first counts.
    package static func find(in targets: [(queue: String, deadLetter: String)]) -> [[String]] {
        let next = Dictionary(targets.map { ($0.queue, $0.deadLetter) }, uniquingKeysWith: { first, _ in first })
        var seen: Set<String> = []
        var cycles: [[String]] = []
        for (start, _) in targets {
            var way: [String] = []
            var here = start
            while let target = next[here], seen.insert(here).inserted {
                way.append(here)
                here = target
            }
            // The way may have led into a circle at a queue further on than its start.
            if let entrance = way.firstIndex(of: here) {
                cycles.append(inFileOrder(Array(way[entrance...]), targets.map(\.queue)))
            }
        }
        return cycles
    }

    private static func inFileOrder(_ cycle: [String], _ names: [String]) -> [String] {
        let first = names.first(where: cycle.contains).flatMap(cycle.firstIndex) ?? 0
        return Array(cycle[first...] + cycle[..<first])
    }
}
