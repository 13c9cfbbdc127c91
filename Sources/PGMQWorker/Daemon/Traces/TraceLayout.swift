import Engine
import PGMQ
import Synchronization

/// How a trace file is laid out: a header that names the daemon, then slots of one size, one for each handler that can
/// run at a time. Numbers are in the machine's byte order, because the file is read where it was written.
///
/// A slot's flag is written last and cleared first, so that a slot whose flag is set is whole.
package enum TraceLayout {
    static let magic: UInt64 = 0x6563_6172_5464_7170
    /// Raised when anything below changes.
    static let version: UInt32 = 1

    package static let headerSize = 512
    package static let slotSize = 128
    /// The most slots that a file is believed to have: 100 queues of the most workers.
    static let mostSlots = 1_000_000

    static let isSet: UInt32 = 0x5345_5431
    static let isFree: UInt32 = 0

    /// Offsets in the header.
    enum Header {
        static let magic = 0
        static let version = 8
        static let slots = 12
        static let daemon = Text(offset: 16, capacity: 47)
        static let host = Text(offset: 64, capacity: 255)
        static let program = Text(offset: 320, capacity: 63)
        /// Set once the daemon was told to stop: what ends it then is no message's fault.
        static let stopping = 400
    }

    /// Offsets in a slot.
    enum Slot {
        static let flag = 0
        static let readCount = 4
        static let messageID = 8
        static let enqueuedAt = 16
        static let queue = Text(offset: 24, capacity: QueueName.longest)
    }

    /// A text of bounded length, its length in the first byte.
    struct Text {
        let offset: Int
        /// In bytes, at most 255.
        let capacity: Int

        /// Writes as much of the text as there is room for, in whole characters.
        func write(_ text: String, to base: UnsafeMutableRawPointer) {
            var text = text
            while text.utf8.count > capacity { text.removeLast() }
            text.withUTF8 { bytes in
                base.storeBytes(of: UInt8(bytes.count), toByteOffset: offset, as: UInt8.self)
                UnsafeMutableRawBufferPointer(start: base + offset + 1, count: capacity).copyMemory(from: .init(bytes))
            }
        }

        /// - Returns: nil where there is no text that PostgreSQL would take, or an empty one.
        func read(_ bytes: UnsafeRawBufferPointer) -> String? {
            let length = Int(bytes[offset])
            guard (1...capacity).contains(length) else { return nil }
            let text = bytes[(offset + 1)..<(offset + 1 + length)]
            return text.contains(0) ? nil : String(validating: text, as: UTF8.self)
        }
    }

    /// Whether a daemon of this version wrote it, even if it is cut off or damaged.
    static func isOfThisVersion(_ file: [UInt8]) -> Bool {
        guard file.count >= Header.version + 4 else { return false }
        return file.withUnsafeBytes { bytes in
            bytes.loadUnaligned(fromByteOffset: Header.magic, as: UInt64.self) == magic
                && bytes.loadUnaligned(fromByteOffset: Header.version, as: UInt32.self) == version
        }
    }

    package static func size(slots: Int) -> Int { headerSize + slots * slotSize }

    static func writeHeader(_ daemon: DaemonIdentity, slots: Int, to base: UnsafeMutableRawPointer) {
        base.storeBytes(of: version, toByteOffset: Header.version, as: UInt32.self)
        base.storeBytes(of: UInt32(slots), toByteOffset: Header.slots, as: UInt32.self)
        Header.daemon.write(daemon.daemon, to: base)
        Header.host.write(daemon.host, to: base)
        Header.program.write(daemon.version, to: base)
        base.storeBytes(of: magic, toByteOffset: Header.magic, as: UInt64.self)
    }
}

/// What a trace file tells.
package struct TraceContents {
    package let daemon: DaemonIdentity
    /// The deliveries whose handlers ran, by queue.
    package private(set) var running: [String: [CrashedDelivery]] = [:]
    /// Slots that hold what no daemon writes.
    package private(set) var damagedSlots = 0

    /// Takes nothing on trust: the file may be another program's, another version's, or half a file.
    package init(_ file: [UInt8]) throws(TraceFailure) {
        let read = file.withUnsafeBytes { bytes in Result { () throws(TraceFailure) in try Self.read(bytes) } }
        self = try read.get()
    }

    private init(daemon: DaemonIdentity) {
        self.daemon = daemon
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) throws(TraceFailure) -> TraceContents {
        typealias Header = TraceLayout.Header
        guard bytes.count >= TraceLayout.headerSize else { throw TraceFailure("it is cut off in its header") }
        guard bytes.loadUnaligned(fromByteOffset: Header.magic, as: UInt64.self) == TraceLayout.magic else {
            throw TraceFailure("it is no trace file")
        }
        let version = bytes.loadUnaligned(fromByteOffset: Header.version, as: UInt32.self)
        guard version == TraceLayout.version else {
            throw TraceFailure("its format \(version) is not this version's, \(TraceLayout.version)")
        }
        let slots = Int(bytes.loadUnaligned(fromByteOffset: Header.slots, as: UInt32.self))
        guard slots <= TraceLayout.mostSlots, bytes.count == TraceLayout.size(slots: slots) else {
            throw TraceFailure("it has \(bytes.count) bytes, which is not the size of \(slots) slots")
        }
        guard let daemon = Header.daemon.read(bytes), let host = Header.host.read(bytes),
            let program = Header.program.read(bytes)
        else { throw TraceFailure("its header names no daemon") }
        var contents = TraceContents(daemon: DaemonIdentity(daemon: daemon, host: host, version: program))
        if bytes.loadUnaligned(fromByteOffset: Header.stopping, as: UInt32.self) == TraceLayout.isSet {
            return contents
        }
        for index in 0..<slots {
            let start = TraceLayout.size(slots: index)
            contents.add(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + TraceLayout.slotSize)]))
        }
        return contents
    }

    private mutating func add(_ slot: UnsafeRawBufferPointer) {
        typealias Slot = TraceLayout.Slot
        let flag = slot.loadUnaligned(fromByteOffset: Slot.flag, as: UInt32.self)
        if flag == TraceLayout.isFree { return }
        let readCount = slot.loadUnaligned(fromByteOffset: Slot.readCount, as: Int32.self)
        let enqueuedAt = slot.loadUnaligned(fromByteOffset: Slot.enqueuedAt, as: Int64.self)
        guard flag == TraceLayout.isSet, readCount > 0, Self.times.contains(enqueuedAt),
            let queue = Slot.queue.read(slot)
        else {
            damagedSlots += 1
            return
        }
        running[queue, default: []].append(
            CrashedDelivery(
                messageID: slot.loadUnaligned(fromByteOffset: Slot.messageID, as: Int64.self),
                enqueuedAt: Timestamp(microseconds: enqueuedAt),
                readCount: readCount,
                daemon: daemon
            )
        )
    }

    /// From 4713 BC to 9999, which every PostgreSQL takes as a timestamp.
    private static let times: ClosedRange<Int64> = -210_866_803_200_000_000...253_402_300_799_999_999
}

/// Why a trace file cannot be used.
package struct TraceFailure: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
