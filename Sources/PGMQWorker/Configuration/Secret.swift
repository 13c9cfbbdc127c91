/// A text that appears in no description, dump or error message.
public struct Secret: Sendable, Hashable {
    /// The text itself; for the call that needs it and nothing else.
    public let value: String

    public init(_ value: String) {
        self.value = value
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    /// `dump` and an enclosing value's default description go by the mirror.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
