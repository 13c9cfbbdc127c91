import PGMQWorker
import Testing

/// The small languages inside values.
@Suite struct TextTests {
    @Test(arguments: [
        ("0s", Duration.zero), ("250ms", .milliseconds(250)), ("30s", .seconds(30)), ("5m", .seconds(300)),
        ("1h", .seconds(3600)), ("7d", .seconds(604_800)), ("007s", .seconds(7)),
    ])
    func `durations`(_ text: String, _ duration: Duration) throws {
        #expect(try DurationText.parse(text) == duration)
        #expect(try DurationText.parse(DurationText.write(duration)) == duration)
    }

    @Test(arguments: [
        "", "s", "30", "1.5s", "-1s", "+1s", " 1s", "1 s", "1S", "1us", "1h30m", "٣s", "99999999999999999999s",
    ])
    func `what is no duration`(_ text: String) {
        #expect(throws: Mistake.self) { try DurationText.parse(text) }
    }

    @Test(arguments: [
        (Duration.milliseconds(6600), "6600ms"), (.seconds(90), "90s"), (.seconds(7200), "2h"),
        (.seconds(86_400), "1d"),
    ])
    func `durations are written in their largest whole unit`(_ duration: Duration, _ text: String) {
        #expect(DurationText.write(duration) == text)
    }

    @Test(arguments: [
        ("0B", 0), ("17B", 17), ("64kB", 64_000), ("64KiB", 65_536), ("3MB", 3_000_000), ("1MiB", 1_048_576),
        ("1GB", 1_000_000_000), ("2GiB", 2_147_483_648),
    ])
    func `sizes`(_ text: String, _ bytes: Int) throws {
        #expect(try SizeText.parse(text) == bytes)
        #expect(SizeText.write(bytes) == text)
    }

    @Test(arguments: ["", "B", "1", "1mb", "1.5MiB", "-1B", "1 kB", "99999999999999999999GiB", "9999999999GiB"])
    func `what is no size`(_ text: String) {
        #expect(throws: Mistake.self) { try SizeText.parse(text) }
    }

    @Test(arguments: [
        ("127.0.0.1:9464", AdminAddress.tcp(host: "127.0.0.1", port: 9464)),
        ("127.9.9.9:1", .tcp(host: "127.9.9.9", port: 1)),
        ("localhost:65535", .tcp(host: "localhost", port: 65535)),
        ("[::1]:9464", .tcp(host: "::1", port: 9464)),
        ("unix:/run/pgmqd/admin.sock", .unix(path: "/run/pgmqd/admin.sock")),
    ])
    func `addresses`(_ text: String, _ address: AdminAddress) throws {
        #expect(try AdminAddress(written: text) == address)
    }

    @Test(arguments: [
        "", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "0.0.0.0:1",
        "10.0.0.1:1", "127.0.0.256:1", "127.0.0:1", "127.0.0.1.evil.example:1", "example.com:1", "[::]:1", "::1:1",
        "unix:admin.sock", "unix:", "unix:/" + String(repeating: "x", count: 107),
    ])
    func `what is no address, or one for others too`(_ text: String) {
        #expect(throws: Mistake.self) { try AdminAddress(written: text) }
    }

    @Test(
        arguments: [
            ("visibilty_timeout", "visibility_timeout"), ("visibilityTimeout", "visibility_timeout"),
            ("WORKERS", "workers"),
            ("wrokers", "workers"), ("max-attempts", "max_attempts"), ("backof", "backoff"), ("colour", nil), ("", nil),
            ("timeout", nil),
        ] as [(String, String?)]
    )
    func `nearest names`(_ word: String, _ name: String?) {
        let names = ["name", "workers", "visibility_timeout", "handler_timeout", "max_attempts", "backoff"]
        #expect(NearestName.of(word, among: names) == name)
    }

    @Test(arguments: [("", "", 0), ("abc", "", 3), ("abc", "acb", 1), ("kitten", "sitting", 3), ("ca", "abc", 3)])
    func `edit distances`(_ a: String, _ b: String, _ distance: Int) {
        #expect(NearestName.distance(Array(a), Array(b)) == distance)
        #expect(NearestName.distance(Array(b), Array(a)) == distance)
    }
}
