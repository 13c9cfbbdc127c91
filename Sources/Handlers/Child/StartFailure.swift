import CSpawn
import Glibc

/// Why a program could not be started, and what to do where the bare errno misleads.
struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ error: SystemError) {
        description = error.description
    }

    init(_ error: SystemError, at step: cspawn_step, of order: ChildOrder) {
        switch (step, error.code) {
        case (cspawn_step_change_directory, _):
            description = "working directory \(order.workingDirectory ?? ""): \(error)"
        case (cspawn_step_execute, ENOENT) where access(order.path, F_OK) == 0:
            description = "\(error): the file is there, but not the interpreter that it names"
        case (cspawn_step_execute, ENOEXEC):
            description = "\(error): a script needs a first line such as #!/bin/sh"
        default:
            description = error.description
        }
    }
}
