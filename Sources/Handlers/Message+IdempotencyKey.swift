import Engine

extension Message {
    /// The same for every delivery of this message, and of no other: an id alone comes again once a queue was made
    /// anew.
    var idempotencyKey: String {
        "\(queue):\(id):\(enqueuedAt.microseconds)"
    }
}
