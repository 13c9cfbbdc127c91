import Foundation
import Glibc
import Logging
import PGMQ
import Synchronization

/// A daemon that died and left its trace file, which is now ours: its lock is held until the file is removed.
package final class DeadDaemon: Sendable {
    /// A daemon that dies again and again while the database is away leaves no more than the next can hold open.
    private static let most = 64
    /// In seconds, a week: so long a file waits for a daemon that works its queues.
    private static let longestKept = 7 * 86_400.0

    package let contents: TraceContents
    private let path: String
    private let descriptor: CInt
    /// Queues whose deliveries are not journaled yet.
    private let remaining: Mutex<Set<String>>

    private init(_ contents: TraceContents, path: String, descriptor: CInt) {
        self.contents = contents
        self.path = path
        self.descriptor = descriptor
        remaining = Mutex(Set(contents.running.keys))
    }

    deinit { close(descriptor) }

    /// The rows of this queue's deliveries are committed, or never will be. Removes the file with the last queue.
    package func settle(_ queue: String) {
        let isLast = remaining.withLock { remaining in
            remaining.remove(queue) != nil && remaining.isEmpty
        }
        if isLast { unlink(path) }
    }

    /// The dead daemons in a state folder that left deliveries behind. Files that tell of none are removed, and of
    /// living daemons passed over.
    package static func find(in folder: String, logger: Logger) -> [DeadDaemon] {
        let names: [String]
        do throws(Mistake) {
            names = try Disk.names(in: folder).filter { $0.hasPrefix(CrashTrace.prefix) }
        } catch {
            logger.warning("crash traces not read", metadata: ["folder": "\(folder)", "reason": "\(error.message)"])
            return []
        }
        var found: [DeadDaemon] = []
        for name in names {
            guard found.count < most else {
                logger.notice("crash traces left for the next start", metadata: ["folder": "\(folder)"])
                break
            }
            let path = "\(folder)/\(name)"
            do throws(TraceFailure) {
                if let dead = try take(path, logger: logger) { found.append(dead) }
            } catch {
                logger.warning("crash trace not read", metadata: ["file": "\(path)", "reason": "\(error)"])
            }
        }
        return found
    }

    /// - Returns: nil where its daemon lives, or nothing is to be done for it.
    private static func take(_ path: String, logger: Logger) throws(TraceFailure) -> DeadDaemon? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw TraceFailure("it cannot be opened: \(CrashTrace.reason(errno))")
        }
        var isKept = false
        defer { if !isKept { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw TraceFailure("it is not a file")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            if errno == EWOULDBLOCK { return nil }
            throw TraceFailure("it cannot be locked: \(CrashTrace.reason(errno))")
        }
        // Another daemon may have had the lock until now, and removed the file.
        guard CrashTrace.isLinked(descriptor) else { return nil }
        let file = try bytes(of: descriptor)
        // The folder may hold what others put there, and files of a newer version.
        guard file.isEmpty || TraceLayout.isOfThisVersion(file) else {
            throw TraceFailure("it is no trace file of this version; it is left alone")
        }
        guard Date.now.timeIntervalSince1970 - Double(status.st_mtim.tv_sec) < Self.longestKept else {
            unlink(path)
            return nil
        }
        let contents: TraceContents
        do throws(TraceFailure) {
            contents = try TraceContents(file)
        } catch {
            unlink(path)
            throw TraceFailure("\(error); it is removed")
        }
        if contents.damagedSlots > 0 {
            logger.warning(
                "crash trace damaged",
                metadata: ["file": "\(path)", "slots": "\(contents.damagedSlots)"]
            )
        }
        guard !contents.running.isEmpty else {
            unlink(path)
            return nil
        }
        isKept = true
        return DeadDaemon(contents, path: path, descriptor: descriptor)
    }

    private static func bytes(of descriptor: CInt) throws(TraceFailure) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw TraceFailure("it cannot be read") }
        guard status.st_size <= TraceLayout.size(slots: TraceLayout.mostSlots) else {
            throw TraceFailure("it has \(status.st_size) bytes, more than any trace file")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(count))
            }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { throw TraceFailure("it cannot be read: \(CrashTrace.reason(errno))") }
            count += read
        }
        return bytes
    }
}
