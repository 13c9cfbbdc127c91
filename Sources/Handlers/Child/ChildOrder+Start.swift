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
        // Of the descriptors only the numbers go into the plan.
        let child = withExtendedLifetime((self, null, errors)) {
            start(input: (input ?? null).raw, output: null.raw, errors: errors.writing.raw)
        }
        guard child.error == 0 else {
            throw StartFailure(SystemError(child.error), at: child.step, of: self)
        }
        return StartedProcess(pid: child.pid, pidfd: Descriptor(child.pidfd), errors: errors.reading)
    }

    private func start(input: Int32, output: Int32, errors: Int32) -> cspawn_child {
        arguments.withPointers { arguments in
            environment.withPointers { environment in
                path.withCString { path in
                    withOptionalCString(workingDirectory) { directory in
                        var plan = cspawn_plan(
                            path: path,
                            arguments: arguments,
                            environment: environment,
                            working_directory: directory,
                            input: input,
                            output: output,
                            errors: errors
                        )
                        return cspawn_start(&plan)
                    }
                }
            }
        }
    }

    private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
        guard let text else { return body(nil) }
        return text.withCString(body)
    }
}
