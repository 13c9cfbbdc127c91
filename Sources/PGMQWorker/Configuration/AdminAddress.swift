/// An address that this machine alone can reach.
public enum AdminAddress: Sendable, Equatable {
    /// `host` is an address or `localhost`, without brackets.
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Reads `"127.0.0.1:9464"`, `"[::1]:9464"`, `"localhost:9464"` or `"unix:/path"`.
    package init(written text: String) throws(Mistake) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard path.hasPrefix("/") else { throw Mistake("the path after unix: must begin with /") }
            // What sockaddr_un holds, its closing NUL left out.
            guard path.utf8.count <= 107 else { throw Mistake("a socket's path has at most 107 bytes") }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { throw Self.misshapen(text) }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw Self.misshapen(text)
        }
        guard let port = Int(digits), (1...65535).contains(port) else {
            throw Mistake("port \(digits) is not from 1 to 65535")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw Mistake("an IPv6 address goes in brackets, such as [::1]:9464")
        }
        guard Self.isLoopback(host) else {
            throw Mistake(
                "\(host.isEmpty ? "an address without a host" : host.quoted) is not loopback; this version serves "
                    + "127.0.0.1, [::1], localhost or unix:/path only, so put a proxy in front of it"
            )
        }
        self = .tcp(host: host, port: port)
    }

    private static func misshapen(_ text: String) -> Mistake {
        Mistake("\(text.quoted) is no address; write \"127.0.0.1:9464\" or \"unix:/run/pgmqd/admin.sock\"")
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let octets = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return octets.count == 4 && octets.first == 127 && !octets.contains(nil)
    }
}
