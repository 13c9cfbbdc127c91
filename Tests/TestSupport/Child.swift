import Foundation
import Glibc
import Synchronization

/// A process started by a test, with its output in files.
///
/// Not Foundation's: that one learns of an end through a socket which the children started next inherit, so that it
/// may not hear of the first before the last has ended.
final class Child: Sendable {
    let pid: Int32
    private let status = Mutex<Int32?>(nil)

    struct CannotStart: Error {
        let program: String
        let reason: String
    }

    /// - Parameters:
    ///   - input: the path of the file that is its standard input.
    ///   - output: paths of files, made when missing and appended to; they may be one and the same.
    init(
        _ command: [String],
        environment: [String: String],
        input: String = "/dev/null",
        output: String,
        errors: String
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)

        // What this process blocks or ignores is no business of a daemon under test.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let arguments = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for string in arguments + variables { free(string) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, command[0], &actions, &attributes, arguments, variables)
        guard result == 0 else {
            throw CannotStart(program: command[0], reason: String(cString: strerror(result)))
        }
        self.pid = pid
    }

    /// The exit status, minus the signal's number where one ended it; nil while it runs.
    var exit: Int32? {
        status.withLock { status in
            if let status { return status }
            var raw: Int32 = 0
            guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
            status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : -(raw & 0x7f)
            return status
        }
    }

    /// Ends it by force, and returns when it is gone.
    func end() {
        status.withLock { status in
            guard status == nil else { return }
            kill(pid, SIGKILL)
            var raw: Int32 = 0
            while waitpid(pid, &raw, 0) == -1, errno == EINTR {}
            status = -SIGKILL
        }
    }

    /// Never reaches a process that got the number later.
    func signal(_ number: Int32) {
        guard exit == nil else { return }
        kill(pid, number)
    }
}
