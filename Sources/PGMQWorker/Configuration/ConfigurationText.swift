/// A string of the configuration, before and after its references were replaced.
struct ConfigurationText {
    let written: String
    let value: String

    /// Whether it is what the file says, so that a message may show it.
    var isLiteral: Bool { written == value }

    /// As a message may show it: what a reference stands for may be a secret.
    var shown: String { written.quoted }

    /// Parses the value; the message shows the text as it was written.
    func parsed<Value>(_ parse: (String) throws(Mistake) -> Value) throws(Mistake) -> Value {
        do throws(Mistake) {
            return try parse(value)
        } catch {
            guard isLiteral else { throw Mistake("\(shown) stands for something malformed") }
            throw error
        }
    }
}
