extension Configuration {
    public struct Admin: Sendable, Equatable {
        /// Where metrics and health are served; nil: nowhere.
        public var listen: AdminAddress?

        public init(listen: AdminAddress? = nil) {
            self.listen = listen
        }
    }
}
