import Foundation

extension ChildProcess {
    /// Ends the server by this mode, then by the harder ones, and waits until no process of it is left.
    func end(_ mode: EmbeddedPostgres.StopMode, in folder: StateFolder) async {
        // A task of its own: in a cancelled one every wait would be over at once, and kill -9 the first resort.
        await Task { await escalate(mode, in: folder) }.value
    }

    private func escalate(_ mode: EmbeddedPostgres.StopMode, in folder: StateFolder) async {
        let steps: [(signal: Int32, limit: Duration)] =
            switch mode {
            case .fast: [(SIGINT, .seconds(15)), (SIGQUIT, .seconds(10)), (SIGKILL, .seconds(5))]
            case .immediate: [(SIGQUIT, .seconds(10)), (SIGKILL, .seconds(5))]
            case .kill: [(SIGKILL, .seconds(5))]
            }
        for step in steps {
            signal(step.signal)
            // One held by SIGSTOP hears nothing else before it goes on.
            signal(SIGCONT)
            if await exits(within: step.limit) { break }
        }
        let users = DataFolderUsers(folder: folder)
        if await users.areGone(within: .seconds(5)) == false { users.signal(SIGKILL) }
        _ = await users.areGone(within: .seconds(5))
    }
}
