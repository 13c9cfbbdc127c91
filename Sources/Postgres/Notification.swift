/// A NOTIFY as it arrived. Any role may send any: nothing in it is to be trusted.
public struct Notification: Sendable, Equatable {
    public let channel: String
    public let payload: String
    /// The server process that sent it.
    public let sender: Int32
}
