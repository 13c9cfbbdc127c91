import Engine
import Glibc
import PGMQ
import Synchronization

/// Remembers which first deliveries this daemon runs, in a file that outlives it.
///
/// The journal has no row for a first delivery, because most succeed and would pay for it. The file is mapped, so that
/// beginning and ending a run are a few stores and no system call; the kernel keeps them however the process ends. It
/// is locked for as long as the process lives: who gets the lock knows that the daemon is dead (``DeadDaemon``).
package final class CrashTrace: Sendable {
    static let prefix = "trace-"

    /// `@unchecked Sendable`, because the ``CrashTrace``'s lock guards it, and the memory stays mapped until its `deinit`.
    private struct Mapping: @unchecked Sendable {
        let descriptor: CInt
        let base: UnsafeMutableRawPointer
        let size: Int
        let path: String
    }

    /// `@unchecked Sendable`, because who took it from the free slots alone writes to it, and a ``CrashTrace`` outlives
    /// the runs that it traces.
    package struct Slot: @unchecked Sendable {
        fileprivate let base: UnsafeMutableRawPointer
    }

    private let slots: Int
    private let mapping = Mutex<Mapping?>(nil)
    /// Empty before ``open(in:as:)``: then nothing is traced.
    private let free = Mutex<[Slot]>([])

    /// - Parameter slots: how many handlers can run at a time.
    package init(slots: Int) {
        self.slots = min(slots, TraceLayout.mostSlots)
    }

    deinit {
        guard let mapping = mapping.withLock({ $0 }) else { return }
        munmap(mapping.base, mapping.size)
        close(mapping.descriptor)
    }

    /// Makes the file of this daemon's life.
    package func open(in folder: String, as daemon: DaemonIdentity) throws(TraceFailure) {
        let path = "\(folder)/\(Self.prefix)\(daemon.daemon)"
        let size = TraceLayout.size(slots: slots)
        let descriptor = try Self.lockedFile(path)
        do throws(TraceFailure) {
            // A page without room on the disk would end the process when it is first written.
            let error = posix_fallocate(descriptor, 0, off_t(size))
            guard error == 0 else { throw TraceFailure("\(path): no room for \(size) bytes: \(Self.reason(error))") }
            guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED
            else {
                throw TraceFailure("\(path) cannot be mapped: \(Self.reason(errno))")
            }
            TraceLayout.writeHeader(daemon, slots: slots, to: base)
            mapping.withLock { $0 = Mapping(descriptor: descriptor, base: base, size: size, path: path) }
            free.withLock { free in
                free = (0..<slots).reversed().map { Slot(base: base + TraceLayout.size(slots: $0)) }
            }
        } catch {
            unlink(path)
            close(descriptor)
            throw error
        }
    }

    /// Removes the file: the daemon has ended, and did not die. Handlers that did not heed the end may still run.
    package func remove() {
        guard let mapping = mapping.withLock({ $0 }) else { return }
        unlink(mapping.path)
    }

    /// The daemon was told to stop. Who kills it because it takes too long kills no message's doer.
    package func noteStop() {
        mapping.withLock { mapping in
            guard let base = mapping?.base else { return }
            (base + TraceLayout.Header.stopping).assumingMemoryBound(to: Atomic<UInt32>.self)
                .pointee.store(TraceLayout.isSet, ordering: .releasing)
        }
    }

    /// - Returns: nil where this run leaves no trace.
    package func begin(_ message: Message) -> Slot? {
        guard message.queue.utf8.count <= TraceLayout.Slot.queue.capacity, let slot = free.withLock({ $0.popLast() })
        else {
            return nil
        }
        let base = slot.base
        base.storeBytes(
            of: Int32(truncatingIfNeeded: message.readCount),
            toByteOffset: TraceLayout.Slot.readCount,
            as: Int32.self
        )
        base.storeBytes(of: message.id, toByteOffset: TraceLayout.Slot.messageID, as: Int64.self)
        base.storeBytes(
            of: message.enqueuedAt.microseconds,
            toByteOffset: TraceLayout.Slot.enqueuedAt,
            as: Int64.self
        )
        TraceLayout.Slot.queue.write(message.queue, to: base)
        slot.set(TraceLayout.isSet)
        return slot
    }

    package func end(_ slot: Slot) {
        slot.set(TraceLayout.isFree)
        free.withLock { $0.append(slot) }
    }

    /// A new file that this process has locked, and that its path leads to.
    ///
    /// A daemon that looks for dead ones may see the file before it is locked, and take it for a dead one's; it removes
    /// it then, because it is empty, and another is made.
    private static func lockedFile(_ path: String) throws(TraceFailure) -> CInt {
        for _ in 0..<50 {
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw TraceFailure("\(path) cannot be made: \(reason(errno))") }
            let isLocked = flock(descriptor, LOCK_EX | LOCK_NB) == 0
            let error = errno
            if isLocked, isLinked(descriptor) { return descriptor }
            close(descriptor)
            guard isLocked || error == EWOULDBLOCK else {
                unlink(path)
                throw TraceFailure("\(path) cannot be locked: \(reason(error))")
            }
            usleep(2000)
        }
        throw TraceFailure("\(path) cannot be locked: another process holds it")
    }

    /// Whether the file still has a name.
    static func isLinked(_ descriptor: CInt) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 0
    }

    static func reason(_ code: CInt) -> String {
        String(cString: strerror(code))
    }
}

extension CrashTrace.Slot {
    /// Everything that was stored before is in the file when the flag is.
    fileprivate func set(_ flag: UInt32) {
        let place = (base + TraceLayout.Slot.flag).assumingMemoryBound(to: Atomic<UInt32>.self)
        place.pointee.store(flag, ordering: .releasing)
    }
}
