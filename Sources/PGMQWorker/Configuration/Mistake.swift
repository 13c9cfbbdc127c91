/// What is wrong with one value; whoever knows where it stands makes a problem of it.
package struct Mistake: Error, Equatable {
    package let message: String

    package init(_ message: String) {
        self.message = message
    }
}
