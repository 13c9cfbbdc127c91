import Logging

extension LogEvent {
    /// All that is known beside the message, in the order of the keys: the handler's own metadata, the provider's above
    /// it, the statement's above that, and the error, if one came along.
    func fields(
        base: Logger.Metadata,
        provider: Logger.MetadataProvider?
    ) -> [LogField] {
        var all = base
        if let provider { all.merge(provider.get()) { _, new in new } }
        if let metadata { all.merge(metadata) { _, new in new } }
        if let error {
            all["error"] = "\(error)"
            all["error_type"] = "\(String(reflecting: type(of: error)))"
        }
        return all.sorted { $0.key < $1.key }
    }
}
