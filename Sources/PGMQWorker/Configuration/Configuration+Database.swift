extension Configuration {
    public struct Database: Sendable, Equatable {
        public static let defaultCallDeadline = Duration.seconds(2)

        /// Whatever libpq accepts.
        public var url: Secret
        /// A direct connection for LISTEN where ``url`` goes through a pooler; nil means ``url``.
        public var listenURL: Secret?
        /// How long one call to the database may take.
        public var callDeadline: Duration

        public init(
            url: Secret,
            listenURL: Secret? = nil,
            callDeadline: Duration = Database.defaultCallDeadline
        ) {
            self.url = url
            self.listenURL = listenURL
            self.callDeadline = callDeadline
        }

        /// How far a renewal may be put off, so that many queues do not renew at once.
        public var renewalJitter: Duration { callDeadline / 10 }

        /// The shortest lease that a renewal at a third of it can keep, even when that call takes its whole deadline.
        public var shortestVisibilityTimeout: Duration { (callDeadline + renewalJitter) * 3 }
    }
}
