/// Strings as exec wants them: each ended by a NUL, and an array of pointers to them ended by nil.
struct CStringList: Sendable {
    private var bytes: [UInt8] = []
    private var starts: [Int] = []

    init() {}

    init(_ strings: some Sequence<String>) {
        for string in strings {
            append(string.utf8)
        }
    }

    /// Appends one string. It must hold no NUL.
    mutating func append(_ string: some Sequence<UInt8>) {
        starts.append(bytes.count)
        bytes.append(contentsOf: string)
        bytes.append(0)
    }

    /// Appends an environment variable.
    mutating func append(_ name: String, _ value: some Sequence<UInt8>) {
        append(name.utf8)
        bytes[bytes.count - 1] = UInt8(ascii: "=")
        bytes.append(contentsOf: value)
        bytes.append(0)
    }

    /// Lends the array of pointers for the call.
    func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result) -> Result {
        bytes.withUnsafeBytes { buffer in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: starts.count + 1) { pointers in
                for (index, start) in starts.enumerated() {
                    let string = buffer.baseAddress?.advanced(by: start).assumingMemoryBound(to: CChar.self)
                    pointers.initializeElement(at: index, to: string)
                }
                pointers.initializeElement(at: starts.count, to: nil)
                return body(pointers.baseAddress.map { UnsafePointer($0) })
            }
        }
    }
}
