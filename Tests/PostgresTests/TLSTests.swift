import Glibc
import Postgres
import TestSupport
import Testing

/// A server that speaks TLS.
@Suite struct TLSTests {
    @Test func `replies of every size arrive through TLS`() async throws {
        let folder = try TestFolder()
        let (key, certificate) = (folder.path + "/key", folder.path + "/certificate")
        let made = try await ProgramRun(
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
                + ["-keyout", key, "-out", certificate],
            program: "/usr/bin/openssl"
        )
        #expect(made.code == 0, "\(made.errors)")
        // The server demands that the key is its own.
        if geteuid() == 0, let account = getpwnam("postgres")?.pointee { chown(key, account.pw_uid, account.pw_gid) }
        let server = try await TestServer(
            settings: ["ssl": "on", "ssl_key_file": key, "ssl_cert_file": certificate],
            port: FreePort.find()
        )
        do {
            try await replies(server)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    private func replies(_ server: TestServer) async throws {
        let url = try #require(server.tcpURL) + "?sslmode=require"
        let connection = try await Connection.open(url: url, deadline: .seconds(10))
        let isEncrypted = Statement("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        #expect(try await connection.run([isEncrypted], deadline: .seconds(10))[0].bool(0, 0))
        for size in [1, 5_000, 9_000, 17_000, 40_000, 1_000_000] {
            let count = max(1, 2_000_000 / size) % 500 + 1
            let statement = Statement("select repeat('x', \(size)) from generate_series(1, \(count))", keepsPlan: true)
            let rows = try await connection.run([statement, statement], deadline: .seconds(30))
            #expect(rows.map { $0.count } == [count, count])
            #expect(rows[1].text(count - 1, 0)?.utf8.count == size)
        }
        await connection.close()
    }
}
