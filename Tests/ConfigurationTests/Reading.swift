import PGMQWorker
import Testing

/// A configuration that is right, to which the tests add what is wrong.
let sound = """
    [database]
    url = "postgresql:///app"

    [[queue]]
    name = "emails"
    handler = { discard = true }
    """

func configuration(_ text: String, environment: [String: String] = [:]) throws(ConfigurationError) -> Configuration {
    try Configuration.read([.init(path: "pgmqd.toml", text: text)], environment: environment)
}

/// The message of the error, one line a problem; empty where there is none.
func complaint(_ text: String, environment: [String: String] = [:]) -> String {
    complaint([("pgmqd.toml", text)], environment: environment)
}

func complaint(_ files: [(path: String, text: String)], environment: [String: String] = [:]) -> String {
    let sources = files.map { ConfigurationSource(path: $0.path, text: $0.text) }
    do throws(ConfigurationError) {
        _ = try Configuration.read(sources, environment: environment)
        return ""
    } catch {
        return error.description
    }
}
