/// Makes a copy of a file that a test is going to run.
///
/// Written by a process of its own: a descriptor that is open here for writing goes on for a moment in whatever child
/// another test starts just then, and until that one's exec the copy cannot be executed ("Text file busy").
public func install(program source: String, at path: String) async throws {
    let copy = try await ProgramRun(["-m", "755", source, path], program: "/usr/bin/install")
    guard copy.code == 0 else { throw NeverHappened(description: copy.errors) }
}
