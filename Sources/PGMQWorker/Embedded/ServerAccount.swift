import Foundation

/// The user that the server runs as: ourselves, or `postgres` when we are root, as PostgreSQL refuses root.
struct ServerAccount: Sendable {
    let userID: uid_t
    let groupID: gid_t
    /// Set when it is not us.
    private let name: String?

    static func current() throws -> ServerAccount {
        guard geteuid() == 0 else { return ServerAccount(userID: geteuid(), groupID: getegid(), name: nil) }
        guard let entry = getpwnam("postgres")?.pointee else {
            throw EmbeddedPostgresError(
                "There is no user postgres, and PostgreSQL does not run as root.",
                advice: "Install PostgreSQL (deploy/setup does on Debian), or run this as a user other than root."
            )
        }
        return ServerAccount(userID: entry.pw_uid, groupID: entry.pw_gid, name: "postgres")
    }

    /// The command that runs a program of PostgreSQL as this user.
    ///
    /// - Parameter followsParent: the program gets SIGINT, a fast shutdown, when the thread that started it ends. The
    ///   kernel drops that order at a change of user, which is why setpriv gives it: it does so after its own change.
    func command(_ program: [String], followsParent: Bool = false) throws -> [String] {
        guard name != nil || followsParent else { return program }
        guard let setpriv = ProgramRun.find("setpriv") else {
            // Without it the server only outlives a pgmqd that was killed; the next start ends it.
            if name == nil { return program }
            throw EmbeddedPostgresError(
                "setpriv is missing; as root it is needed to run PostgreSQL as the user postgres.",
                advice: "Install util-linux, or run this as a user other than root."
            )
        }
        let user = name.map { ["--reuid=\($0)", "--regid=\(groupID)", "--init-groups"] } ?? []
        let bond = followsParent ? ["--pdeathsig", "INT"] : []
        return [setpriv] + user + bond + ["--"] + program
    }

    /// Says so when a folder on the way is closed to the user: the server's own message would be about another file.
    func checkReach(of directory: String) throws {
        guard name != nil else { return }
        var path = directory
        while path != "/" {
            path = (path as NSString).deletingLastPathComponent
            var info = stat()
            guard stat(path, &info) == 0 else { continue }
            let bit: mode_t = info.st_uid == userID ? 0o100 : info.st_gid == groupID ? 0o010 : 0o001
            if info.st_mode & bit != 0 { continue }
            throw EmbeddedPostgresError(
                "The user postgres, as which root runs PostgreSQL, cannot enter \(path) on the way to \(directory).",
                advice: "Name a state folder elsewhere, /var/lib/pgmqd-dev for example."
            )
        }
    }

    func own(_ path: String) throws {
        guard name != nil, lchown(path, userID, groupID) != 0 else { return }
        throw EmbeddedPostgresError(
            "\(path) cannot be given to the user postgres: \(String(cString: strerror(errno))).",
            advice: "Name a state folder on another file system."
        )
    }
}
