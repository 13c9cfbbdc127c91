import CSpawn

extension ChildOrder {
    /// Starts the child. On the one thread whose end would be the child's.
    func start(null: Descriptor) throws(StartFailure) -> StartedProcess {
        let errors: Pipe
        do {
            errors = try Pipe()
        } catch {
            throw StartFailure(error)
        }
        let input = (input ?? null).raw
        let child = arguments.withPointers { arguments in
            environment.withPointers { environment in
                withOptionalCString(workingDirectory) { directory in
                    var plan = cspawn_plan(
                        path: nil,
                        arguments: arguments,
                        environment: environment,
                        working_directory: directory,
                        input: input,
                        output: null.raw,
                        errors: errors.writing.raw
                    )
                    return path.withCString { path in
                        plan.path = path
                        return cspawn_start(&plan)
                    }
                }
            }
        }
        guard child.error == 0 else {
            throw StartFailure(SystemError(child.error), at: child.step, of: self)
        }
        return StartedProcess(pid: child.pid, pidfd: Descriptor(child.pidfd), errors: errors.reading)
    }

    private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
        guard let text else { return body(nil) }
        return text.withCString(body)
    }
}
