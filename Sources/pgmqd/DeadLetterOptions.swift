import ArgumentParser
import PGMQ
import PGMQWorker
import Postgres

/// Whose dead letters a command looks at, and where they are.
struct DeadLetterOptions: ParsableArguments {
    @OptionGroup var options: DatabaseOptions

    @Argument(help: "The queue whose dead letters they are, or the dead-letter queue.")
    var queue: String

    @Flag(help: "The name is that of the dead-letter queue itself, which has a worker or an unusual name.")
    var itself = false

    /// - Returns: the dead-letter queue, and what is in it.
    func letters(limit: Int, id: Int64? = nil) async throws -> (source: QueueName, letters: [Letter]) {
        let configured = try options.configuration()?.queues ?? []
        return try await options.connected { connection in
            let source = try await source(configured, Schema(connection))
            let messages = try await Inspection(connection).peek(source, limit: limit, id: id)
            return (source, messages.map(Letter.init))
        }
    }

    /// Never a work queue by mistake: its messages would be shown as if they had failed.
    private func source(_ configured: [QueueConfiguration], _ schema: Schema) async throws -> QueueName {
        let written = QueueName(queue)
        if itself { return written }
        if let known = configured.first(where: { $0.name == written.folded }) { return QueueName(known.deadLetter) }
        if configured.contains(where: { $0.deadLetter == written.folded }) { return written }
        let usual = QueueName(QueueName.deadLetter(of: queue))
        if try await schema.exists(usual) { return usual }
        if written.folded.hasSuffix("_dlq") { return written }
        throw Failure.failed(
            "there is no queue \"\(usual)\"; name the configuration with -c, which says where the dead letters of "
                + "\"\(written)\" go, or say --itself if \"\(written)\" is a dead-letter queue"
        )
    }
}
