import Engine
import Handlers
import Logging
import PGMQ

/// The daemon's own consumer with a handler that does nothing, in this process.
struct DaemonDrain {
    let queue: ScratchQueue
    let batch: Int?
    let connections: Int
    /// The clock starts when this many are done.
    var skip = 0

    func run(messages: Int) async throws -> DrainMeasurement {
        let (database, consumer) = assemble(DiscardHandler())
        let serving = Task { await database.run() }
        _ = await database.availability.firstAnswer()
        let consuming = Task { await consumer.run() }
        // Where the measurement is given up, by Ctrl-C for one.
        defer {
            consumer.stop(grace: .zero)
            serving.cancel()
        }
        while consumer.snapshot().counters.done < skip { try await Task.sleep(for: .milliseconds(1)) }
        let before = skip == 0 ? 0 : consumer.snapshot().counters.done
        let (began, processor) = (Instant.now, DrainMeasurement.processorTime)
        while consumer.snapshot().counters.done < messages { try await Task.sleep(for: .milliseconds(10)) }
        let done = consumer.snapshot().counters.done - before
        let elapsed = (Instant.now - began).inSeconds
        let spent = DrainMeasurement.processorTime - processor
        consumer.stop(grace: .zero)
        await consuming.value
        serving.cancel()
        await serving.value
        return DrainMeasurement(
            messages: done,
            seconds: elapsed,
            microsecondsOfOurs: spent / Double(max(1, done)) * 1e6
        )
    }

    /// A daemon's parts, as `Daemon` puts them together, for this queue alone.
    func assemble(_ handler: any Handler) -> (PGMQ.Database, QueueConsumer) {
        var quiet = Logger(label: "bench")
        quiet.logLevel = .error
        let database = PGMQ.Database(
            settings: .init(url: queue.url, callDeadline: .seconds(30), workConnections: connections),
            identity: DaemonIdentity(daemon: "bench", host: "bench", version: Daemon.version),
            logger: quiet
        )
        let port = PGMQQueue(
            name: queue.name,
            options: QueueOptions(
                visibilityTimeout: .seconds(60),
                maxMessageBytes: 1 << 20,
                archives: false,
                durable: true,
                deadLetter: queue.deadLetter
            ),
            database: database
        )
        var policy = QueuePolicy(name: queue.name.folded, visibilityTimeout: .seconds(60))
        if let batch { policy.batchLimit = batch }
        let consumer = QueueConsumer(
            policy: policy,
            queue: port,
            handler: handler,
            pumps: connections,
            logger: quiet
        )
        port.connect { [weak consumer] wake in consumer?.wake(wake) }
        return (database, consumer)
    }
}
