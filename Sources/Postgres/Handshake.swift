import CLibPQ
import Dispatch
import Foundation
import Glibc

/// Opens a connection without blocking, step by step as `PQconnectPoll` asks.
struct Handshake {
    let queue: DispatchQueue

    func run(url: String, application: String, deadline: Duration) async throws(PostgresError) -> Handle {
        let end = ContinuousClock.now + deadline
        guard Self.isUnderstood(url) else {
            throw PostgresError(.connection, message: PostgresError.malformedConnectionString)
        }
        guard let handle = await begin(url: url, application: application) else {
            throw PostgresError(.connection, message: "out of memory")
        }
        do throws(PostgresError) {
            try await finish(handle, until: end)
            return handle
        } catch {
            await onQueue { PQfinish(handle.pointer) }
            throw error
        }
    }

    private func finish(_ handle: Handle, until end: ContinuousClock.Instant) async throws(PostgresError) {
        var step = PGRES_POLLING_WRITING
        if await onQueue({ PQstatus(handle.pointer) }) == CONNECTION_BAD { throw failure(handle) }
        while step != PGRES_POLLING_OK {
            if step == PGRES_POLLING_FAILED { throw failure(handle) }
            let ready = await Readiness.wait(
                for: step == PGRES_POLLING_READING ? .read : .write,
                on: PQsocket(handle.pointer),
                until: end,
                queue: queue
            )
            if Task.isCancelled { throw PostgresError(.cancelled, message: "cancelled while connecting") }
            guard ready else { throw PostgresError(.deadline, message: "no connection within the deadline") }
            step = await onQueue { PQconnectPoll(handle.pointer) }
        }
        let pipelined = await onQueue {
            PQsetNoticeProcessor(handle.pointer, { _, _ in }, nil)
            return PQsetnonblocking(handle.pointer, 1) == 0 && PQenterPipelineMode(handle.pointer) == 1
        }
        guard pipelined else { throw failure(handle) }
    }

    /// Asked before libpq is: its own complaint quotes the part it did not understand, and that may be the password.
    private static func isUnderstood(_ url: String) -> Bool {
        guard url.contains("=") || url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else { return true }
        guard let options = PQconninfoParse(url, nil) else { return false }
        PQconninfoFree(options)
        return !Self.leaksPassword(url)
    }

    /// A / or @ of a password that is not escaped ends up in the next part, host, port or database, which every complaint
    /// would quote.
    private static func leaksPassword(_ url: String) -> Bool {
        guard let scheme = url.range(of: "://"), url.hasPrefix("postgres") else { return false }
        // As libpq reads it: the user and the password end with the first @ before a /, whatever else they hold.
        var address = url[scheme.upperBound...]
        let server = address.prefix { $0 != "/" }
        if let end = server.firstIndex(of: "@") { address = address[address.index(after: end)...] }
        return address.prefix { $0 != "?" }.contains("@")
    }

    private func begin(url: String, application: String) async -> Handle? {
        // A keyword before `dbname` is a default that the URL may override; one behind it is not.
        let settings = [
            ("target_session_attrs", "read-write"),
            ("connect_timeout", "10"),
            ("keepalives_idle", "10"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            // Below half of a connection's deadline: a first host that swallows packets leaves time for the second.
            ("tcp_user_timeout", "4000"),
            ("dbname", url),
            ("fallback_application_name", application),
            ("client_encoding", "UTF8"),
        ]
        return await onQueue {
            let keywords = settings.map { strdup($0.0) }
            let values = settings.map { strdup($0.1) }
            defer { for pointer in keywords + values { free(pointer) } }
            return PQconnectStartParams(
                keywords.map { UnsafePointer($0) } + [nil],
                values.map { UnsafePointer($0) } + [nil],
                1
            ).map { Handle(pointer: $0) }
        }
    }

    private func failure(_ handle: Handle) -> PostgresError {
        PostgresError(.connection, sqlState: nil, message: handle.errorMessage)
    }

    private func onQueue<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
