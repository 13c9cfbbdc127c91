import CSpawn

/// A pipe that no child inherits. Its reading end never blocks.
struct Pipe {
    let reading: Descriptor
    let writing: Descriptor

    /// - Parameter doorbell: the writing end does not block either: a full pipe has been rung already.
    init(doorbell: Bool = false) throws(SystemError) {
        var reading: Int32 = -1
        var writing: Int32 = -1
        let code = cspawn_pipe(&reading, &writing, doorbell ? 1 : 0)
        guard code == 0 else { throw SystemError(code) }
        self.reading = Descriptor(reading)
        self.writing = Descriptor(writing)
    }
}
