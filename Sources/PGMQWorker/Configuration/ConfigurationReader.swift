import Glibc
import Logging
import TOMLKit

/// Makes one configuration of all files.
struct ConfigurationReader {
    let main: ConfigurationFile
    /// The main file among them, first.
    let files: [ConfigurationFile]
    let context: ReadingContext

    func read() -> Configuration {
        var layers: [String: [KeyReader.Layer]] = [:]
        var queues: [KeyReader.Layer] = []
        // What is not missing but misspelt, or of the wrong type.
        var meant: Set<String> = []
        for file in files {
            let root = KeyReader(.init(table: file.table, place: file.root), context: context)
            for name in ["database", "daemon", "admin"] {
                let section = section(name, of: root)
                layers[name, default: []] += section
                if section.isEmpty, root.has(name) { meant.insert(name) }
            }
            queues += self.queues(of: root)
            if root.has("queue") { meant.insert("queue") }
            meant.formUnion(root.finish())
        }
        let database = database(reader("database", layers), isMeant: meant.contains("database"))
        let daemon = daemon(reader("daemon", layers))
        let admin = admin(reader("admin", layers))
        let read = queues.map { QueueReader(layer: $0, daemon: daemon, context: context).read() }
        let configuration = Configuration(
            database: database,
            daemon: daemon,
            admin: admin,
            queues: read.map(\.settings)
        )
        if !meant.contains("queue"), context.isComplete {
            context.log.add("there is no queue to work on; add a [[queue]] with name and handler", at: main.root)
        }
        let places = layers.mapValues { $0.map(\.place) }
        Relations(configuration: configuration, queues: read, sections: places, context: context).check()
        return configuration
    }

    private func section(_ name: String, of root: KeyReader) -> [KeyReader.Layer] {
        root.setting(name, default: []) { entry throws(Mistake) in
            guard let table = entry.value.table else {
                throw KeyReader.wrongType(entry, expected: "a table, headed [\(name)]")
            }
            return [KeyReader.Layer(table: table, place: entry.place)]
        }
    }

    private func queues(of root: KeyReader) -> [KeyReader.Layer] {
        let expected = "an array of tables, each headed [[queue]]"
        return root.setting("queue", default: []) { entry throws(Mistake) in
            guard let array = entry.value.array else { throw KeyReader.wrongType(entry, expected: expected) }
            var layers: [KeyReader.Layer] = []
            for (number, element) in array.enumerated() {
                guard let table = element.table else {
                    throw KeyReader.wrongType(.init(value: element.tomlValue, place: entry.place), expected: expected)
                }
                layers.append(.init(table: table, place: entry.place.index(number)))
            }
            return layers
        }
    }

    private func reader(_ section: String, _ layers: [String: [KeyReader.Layer]]) -> KeyReader {
        let layers = layers[section] ?? []
        let home = layers.first?.place ?? Place(file: main, steps: [], shown: section)
        return KeyReader(layers, home: home, context: context)
    }

    private func database(_ reader: KeyReader, isMeant: Bool) -> Configuration.Database {
        let url = reader.secret("url")
        let listenURL = reader.secret("listen_url")
        let callDeadline = reader.duration(
            "call_deadline",
            default: Configuration.Database.defaultCallDeadline,
            in: .milliseconds(100) ... .seconds(60)
        )
        if !reader.has("url"), !isMeant {
            reader.require(["url"], "is missing; \"postgresql://\" leaves everything to libpq's own defaults")
        }
        reader.finish()
        return .init(url: url ?? Secret(""), listenURL: listenURL, callDeadline: callDeadline)
    }

    private func daemon(_ reader: KeyReader) -> Configuration.Daemon {
        let usual = Configuration.Daemon()
        let daemon = Configuration.Daemon(
            workers: reader.integer("workers", default: usual.workers, in: Bounds.workers),
            shutdownGrace: reader.duration("shutdown_grace", default: usual.shutdownGrace, in: Bounds.grace),
            logFormat: reader.choice("log_format", default: usual.logFormat),
            logLevel: reader.choice("log_level", default: usual.logLevel),
            maxInflightBytes: reader.size(
                "max_inflight_bytes",
                default: usual.maxInflightBytes,
                in: Bounds.inflightBytes
            ),
            stateDirectory: stateDirectory(reader)
        )
        reader.finish()
        return daemon
    }

    /// Only a folder that the file names must be there. systemd makes its own, and gives several as one list.
    private func stateDirectory(_ reader: KeyReader) -> String? {
        let given = context.values.environment["STATE_DIRECTORY"]?.split(separator: ":").first.map(String.init)
        let usual = given.flatMap { $0.hasPrefix("/") ? $0 : nil }
        return reader.setting("state_directory", default: usual) { entry throws(Mistake) in
            let text = try reader.folder(entry, advice: "make it, and give it to the daemon's user")
            guard Disk.isWritable(text.value) else {
                throw Mistake(
                    "\(text.shown) cannot be written to: \(Disk.refusal(errno)); make it the daemon's user's, and name it "
                        + "in StateDirectory= or ReadWritePaths= of its unit"
                )
            }
            return text.value
        }
    }

    private func admin(_ reader: KeyReader) -> Configuration.Admin {
        let listen: AdminAddress? = reader.setting("listen", default: nil) { entry throws(Mistake) in
            let text = try reader.text(entry, expected: "an address such as \"127.0.0.1:9464\"")
            return try text.parsed { written throws(Mistake) in try AdminAddress(written: written) }
        }
        reader.finish()
        return .init(listen: listen)
    }
}
