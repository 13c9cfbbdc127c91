import CSpawn
import Glibc
import Testing

@Suite struct ParentDeathTests {
    /// The ground of the promise that a killed daemon's children do not run on; that the daemon's are started by a
    /// thread which lives as long as the daemon can only be seen with a daemon.
    @Test func childDiesWithItsParent() async throws {
        // Swift hides fork(2) because little works after it; here only system calls follow.
        let fork = try #require(dlsym(nil, "fork"))
        let forkProcess = unsafeBitCast(fork, to: (@convention(c) () -> pid_t).self)

        var reading: Int32 = -1
        var writing: Int32 = -1
        try #require(cspawn_pipe(&reading, &writing, 0) == 0)
        let witness = Witness(owning: reading)

        let script: [String] = ["/bin/sh", "-c", "echo ready; exec sleep 1000"]
        let strings = script.map { (string: String) in strdup(string) }
        defer { strings.forEach { free($0) } }
        let arguments = strings.map { UnsafePointer<CChar>($0) } + [nil]
        let parent = arguments.withUnsafeBufferPointer { arguments in
            var plan = cspawn_plan(
                path: arguments[0],
                arguments: arguments.baseAddress,
                environment: arguments.baseAddress?.advanced(by: 3),
                working_directory: nil,
                input: writing,
                output: writing,
                errors: writing
            )
            let parent = forkProcess()
            if parent == 0 {
                // Should the test itself be killed.
                alarm(120)
                // Other tests run beside this one; what they hold open must end with them.
                for fd in Int32(3)..<1024 where fd != writing { close(fd) }
                if cspawn_start(&plan).error != 0 { _exit(1) }
                while true { pause() }
            }
            return parent
        }
        close(writing)
        try #require(parent > 0)

        #expect(try await witness.line() == "ready")
        kill(parent, SIGKILL)
        var status: Int32 = 0
        waitpid(parent, &status, 0)
        // The child alone holds the pipe now.
        #expect(try await witness.rest() == "")
    }
}
