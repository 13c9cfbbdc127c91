import Foundation
import PGMQ

/// A message of a dead-letter queue, with what we wrote into its headers.
struct Letter: Encodable {
    struct Record: Codable {
        struct Attempt: Codable {
            let number: Int
            let outcome: String
            let at: String
            let duration_ms: Int64?
            let reason: String?
            let host: String
        }

        let queue: String
        let msg_id: Int64
        let read_ct: Int
        let enqueued_at: String
        let dead_lettered_at: String
        let reason: String
        let attempts: [Attempt]
    }

    private struct Headers: Decodable {
        let record: Record?

        enum CodingKeys: String, CodingKey {
            case record = "x-pgmqd"
        }
    }

    let id: Int64
    let body: String?
    let headers: String?
    /// Why body and headers cannot be read.
    let unreadable: String?
    let record: Record?

    var unreadableText: String? { unreadable.map { "(cannot be read: \($0))" } }

    init(_ message: Inspection.StoredMessage) {
        id = message.id
        body = message.body
        headers = message.headers
        unreadable = message.unreadable
        record = message.headers.flatMap { headers in
            try? JSONDecoder().decode(Headers.self, from: Data(headers.utf8)).record
        }
    }
}
