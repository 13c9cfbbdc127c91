import Engine
import Logging
import PGMQ
import ServiceLifecycle

/// Keeps the connections open until everything that uses them has ended.
struct DatabaseService: Service {
    let database: PGMQ.Database

    func run() async throws {
        await cancelWhenGracefulShutdown { await database.run() }
    }
}

/// Consumes all queues; ends when each has drained.
struct ConsumerService: Service {
    let consumers: [QueueConsumer]
    let grace: Duration

    func run() async throws {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for consumer in consumers { group.addTask { await consumer.run() } }
            }
        } onGracefulShutdown: {
            for consumer in consumers { consumer.stop(grace: grace) }
        }
    }

    /// Ends the grace.
    func stopNow() {
        for consumer in consumers { consumer.stop(grace: .zero) }
    }
}

/// Keeps the journal as small as what it tells of.
struct Housekeeping: Service {
    let queues: [PGMQQueue]
    let logger: Logger

    private static let interval = 600.0

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Daemons that were started together do not come together.
                try? await Task.sleep(for: .seconds(Self.interval * .random(in: 0.5...1.5)))
                for queue in queues where !Task.isCancelled {
                    do throws(QueueFailure) {
                        try await queue.prune()
                    } catch {
                        logger.debug("journal pruning failed", metadata: ["reason": "\(error.reason)"])
                    }
                }
            }
        }
    }
}

/// A server that answers and refuses us at the start will not change its mind by itself: that is configuration.
struct StartCheck: Service {
    let database: PGMQ.Database

    func run() async throws {
        let refusal = await cancelWhenGracefulShutdown { await database.availability.firstAnswer() }
        if let refusal { throw StartError.databaseRefused(refusal) }
        try? await gracefulShutdown()
    }
}
