/// One step on the way from a file's root to a value.
package enum PathStep: Sendable, Hashable {
    case key(String)
    /// From 0.
    case index(Int)
}
