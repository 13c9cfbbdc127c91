import Engine
import Postgres
import QueueModel

/// PostgreSQL counts microseconds from 2000-01-01; the engine from 1970-01-01.
enum ServerClock {
    private static let epoch: Int64 = 946_684_800_000_000

    static func timestamp(_ rows: Rows, _ row: Int, _ column: Int) -> Timestamp {
        rows.isNull(row, column) ? .distantPast : Timestamp(microseconds: rows.timestamp(row, column) + epoch)
    }

    static func parameter(_ timestamp: Timestamp) -> Int64 {
        timestamp.microseconds - epoch
    }
}

/// All that is committed, in words that the model's state has too.
struct RealState: Sendable {
    struct Row: Sendable {
        let id: Int64
        let enqueuedAt: Timestamp
        let body: String
        var version: QueueModel.Version
    }

    /// In the order of their ids.
    var rows: [Row]
    var journal: [String]
    var deadLetters: [String]
    var archive: [String]
    let clock: Timestamp

    init(_ rows: Rows, journal: Rows, deadLetters: Rows, archive: Rows, clock: Rows) {
        self.rows = (0..<rows.count).map { row in
            Row(
                id: rows.int(row, 0),
                enqueuedAt: ServerClock.timestamp(rows, row, 2),
                body: rows.text(row, 5) ?? "",
                version: QueueModel.Version(
                    readCount: Int32(rows.int(row, 1)),
                    readAt: ServerClock.timestamp(rows, row, 3),
                    vt: ServerClock.timestamp(rows, row, 4),
                    place: Place(raw: rows.place(row, 6) ?? 0)
                )
            )
        }
        self.journal = (0..<journal.count).map { row in
            JournalLine(
                key: MessageKey(id: journal.int(row, 0), enqueuedAt: ServerClock.timestamp(journal, row, 1)),
                readCount: Int32(journal.int(row, 2)),
                daemon: journal.text(row, 3) ?? "",
                outcome: journal.text(row, 4),
                attempt: journal.isNull(row, 5) ? nil : Int(journal.int(row, 5)),
                milliseconds: journal.isNull(row, 6) ? nil : journal.int(row, 6),
                reason: journal.text(row, 7)
            ).text
        }
        self.deadLetters = (0..<deadLetters.count).map { deadLetters.text($0, 0) ?? "" }.sorted()
        self.archive = (0..<archive.count).map { archive.text($0, 0) ?? "" }.sorted()
        self.clock = ServerClock.timestamp(clock, 0, 0)
    }
}

/// A row of the journal, to be read beside its counterpart.
struct JournalLine {
    let key: MessageKey
    let readCount: Int32
    let daemon: String
    let outcome: String?
    let attempt: Int?
    let milliseconds: Int64?
    let reason: String?

    var text: String {
        let attempt = attempt.map { " attempt \($0), \(milliseconds.map { "\($0) ms" } ?? "-")" } ?? ""
        return "\(key.id) of \(key.enqueuedAt.microseconds) read \(readCount) by \(daemon): "
            + "\(outcome ?? "open")\(attempt) \(reason ?? "-")"
    }
}

extension QueueModel {
    var journalLines: [String] {
        journal.rows.sorted { ($0.key.id, $0.key.enqueuedAt) < ($1.key.id, $1.key.enqueuedAt) }.flatMap { key, rows in
            rows.sorted { $0.readCount < $1.readCount }.map { row in
                JournalLine(
                    key: key,
                    readCount: row.readCount,
                    daemon: Lane.daemons[row.owner],
                    outcome: row.outcome,
                    attempt: row.attempt?.number,
                    milliseconds: row.attempt.map { $0.duration.inMicroseconds / 1000 },
                    reason: row.reason
                ).text
            }
        }
    }

    var deadLetterLines: [String] {
        deadLetters.map { "\(String(decoding: $0.body, as: UTF8.self)) \($0.reason) \($0.attempts)" }.sorted()
    }
}
