/// What values must be to each other.
struct Relations {
    let configuration: Configuration
    let queues: [QueueReader.Queue]
    /// Where each section stands.
    let sections: [String: [Place]]
    let context: ReadingContext

    func check() {
        namesDiffer()
        for queue in queues {
            leaseCanBeKept(queue)
            messageFits(queue)
        }
        deadLettersEnd()
    }

    private func namesDiffer() {
        var first: [String: Place] = [:]
        for queue in queues {
            guard let name = queue.name else { continue }
            if let other = first[name] {
                context.log.add(
                    "this queue is at \(other.location) already (PGMQ lower-cases names)",
                    at: queue.place.key("name")
                )
            } else {
                first[name] = queue.place
            }
        }
    }

    private func leaseCanBeKept(_ queue: QueueReader.Queue) {
        let deadline = place("call_deadline", in: "database")
        let timeout = queue.place.key("visibility_timeout")
        let bound = configuration.database.shortestVisibilityTimeout
        let given = queue.settings.visibilityTimeout
        guard given < bound, isClean(deadline, timeout) else { return }
        context.log.add(
            "\(DurationText.write(given))\(byDefault(timeout)) is below \(DurationText.write(bound)), which is three "
                + "times database.call_deadline (\(DurationText.write(configuration.database.callDeadline))"
                + "\(deadline.map(byDefault) ?? " by default")) and a tenth of it; raise visibility_timeout or lower "
                + "call_deadline",
            at: timeout
        )
    }

    private func messageFits(_ queue: QueueReader.Queue) {
        let inflight = place("max_inflight_bytes", in: "daemon")
        let message = queue.place.key("max_message_bytes")
        let given = queue.settings.maxMessageBytes
        let limit = configuration.daemon.maxInflightBytes
        guard given > limit, isClean(inflight, message) else { return }
        context.log.add(
            "\(SizeText.write(given))\(byDefault(message)) is more than daemon.max_inflight_bytes "
                + "(\(SizeText.write(limit))\(inflight.map(byDefault) ?? " by default"))",
            at: message
        )
    }

    private func deadLettersEnd() {
        let targets = queues.compactMap { queue in queue.name.map { ($0, queue.settings.deadLetter) } }
        let places = queues.compactMap { queue in queue.name.map { ($0, queue.place) } }
        let byName = Dictionary(places, uniquingKeysWith: { first, _ in first })
        for cycle in DeadLetterCycles.find(in: targets) {
            guard let place = byName[cycle[0]]?.key("dead_letter"), isClean(place) else { continue }
            let names = cycle + [cycle[0]]
            context.log.add(
                cycle.count == 1
                    ? "a queue cannot be its own dead-letter queue"
                    : "dead letters go round in a circle: \(names.map(\.quoted).joined(separator: " -> "))",
                at: place
            )
        }
    }

    private func place(_ key: String, in section: String) -> Place? {
        let places = (sections[section] ?? []).map { $0.key(key) }
        return places.first { $0.isWritten } ?? places.first
    }

    private func byDefault(_ place: Place) -> String {
        place.isWritten ? "" : " by default"
    }

    private func isClean(_ places: Place?...) -> Bool {
        places.compactMap { $0 }.allSatisfy { context.log.isClean($0) }
    }
}
