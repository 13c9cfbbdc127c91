import Engine
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

/// A server that answers and refuses us at the start will not change its mind by itself: that is configuration.
struct StartCheck: Service {
    let database: PGMQ.Database

    func run() async throws {
        let refusal = await cancelWhenGracefulShutdown { await database.availability.firstAnswer() }
        if let refusal { throw StartError.databaseRefused(refusal) }
        try? await gracefulShutdown()
    }
}
