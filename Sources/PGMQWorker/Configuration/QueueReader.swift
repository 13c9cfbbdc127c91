import Engine
import PGMQ
import TOMLKit

/// Reads one `[[queue]]`.
struct QueueReader {
    /// What was read, and where; the name is nil where it was refused.
    struct Queue {
        let settings: QueueConfiguration
        let name: String?
        let place: Place
    }

    let layer: KeyReader.Layer
    let daemon: Configuration.Daemon
    let context: ReadingContext

    func read() -> Queue {
        // The name first: it is what the others are called by.
        let shown = layer.table["name"]?.string.map { "queue \($0.quoted)" } ?? layer.place.shown
        let place = layer.place.shown(as: shown)
        let reader = KeyReader(.init(table: layer.table, place: place), context: context)

        let written = name(reader)
        let usual = QueueConfiguration(name: written ?? "", handler: .discard)
        let maxAttempts = reader.integer("max_attempts", default: usual.retry.maxAttempts, in: Bounds.attempts)
        let deadLetter = deadLetter(reader, name: written)
        let settings = QueueConfiguration(
            name: written ?? "",
            workers: reader.integer("workers", default: daemon.workers, in: Bounds.workers),
            visibilityTimeout: reader.duration(
                "visibility_timeout",
                default: usual.visibilityTimeout,
                in: Bounds.visibilityTimeout
            ),
            handlerTimeout: reader.duration(
                "handler_timeout",
                default: usual.handlerTimeout,
                in: Bounds.handlerTimeout
            ),
            retry: backoff(reader, usual.retry, maxAttempts: maxAttempts),
            maxCrashes: reader.integer("max_crashes", default: usual.maxCrashes, in: Bounds.crashes),
            onSuccess: reader.choice("on_success", default: usual.onSuccess),
            deadLetter: deadLetter,
            pollInterval: reader.duration("poll_interval", default: usual.pollInterval, in: Bounds.pollInterval),
            maxMessageBytes: reader.size("max_message_bytes", default: usual.maxMessageBytes, in: Bounds.messageBytes),
            durable: reader.boolean("synchronous_commit", default: usual.durable),
            handler: HandlerReader(context: context).read(reader)
        )
        reader.finish()
        return Queue(settings: settings, name: written.map(QueueName.folded), place: place)
    }

    private func name(_ reader: KeyReader) -> String? {
        if !reader.has("name") { reader.require(["name"], "is missing") }
        return reader.setting("name", default: nil) { entry throws(Mistake) in
            try queueName(try reader.text(entry, expected: "a string"))
        }
    }

    private func deadLetter(_ reader: KeyReader, name: String?) -> String? {
        let given: String? = reader.setting("dead_letter", default: nil) { entry throws(Mistake) in
            try queueName(try reader.text(entry, expected: "a queue's name"))
        }
        if let name, !reader.has("dead_letter") {
            let length = QueueName.deadLetter(of: name).utf8.count
            if length > QueueName.longest {
                context.log.add(
                    "its dead-letter queue's name, the name and _dlq, would be \(length) bytes long; at most "
                        + "\(QueueName.longest) are possible, so set a shorter dead_letter",
                    at: reader.place("name")
                )
            }
        }
        return given
    }

    private func queueName(_ text: ConfigurationText) throws(Mistake) -> String {
        if let objection = QueueName.objection(to: text.value) { throw Mistake(objection) }
        return text.value
    }

    private func backoff(_ queue: KeyReader, _ usual: RetryPolicy, maxAttempts: Int) -> RetryPolicy {
        var policy = usual
        policy.maxAttempts = maxAttempts
        guard let reader = queue.table("backoff", expected: "a table such as { first = \"2s\", max = \"10m\" }") else {
            return policy
        }
        policy.first = reader.duration("first", default: usual.first, in: Bounds.backoff)
        policy.factor = reader.number("factor", default: usual.factor, in: Bounds.backoffFactor)
        policy.max = reader.duration("max", default: usual.max, in: Bounds.backoff)
        policy.jitter = reader.number("jitter", default: usual.jitter, in: Bounds.jitter)
        let (first, max) = (reader.place("first"), reader.place("max"))
        if policy.max < policy.first, context.log.isClean(first, max) {
            context.log.add(
                "max is \(DurationText.write(policy.max))\(reader.has("max") ? "" : " by default"), below first, which "
                    + "is \(DurationText.write(policy.first))\(reader.has("first") ? "" : " by default")",
                at: reader.has("max") ? max : first
            )
        }
        reader.finish()
        return policy
    }
}
