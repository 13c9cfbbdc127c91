import Handlers
import TOMLKit

/// Reads a queue's `handler`.
struct HandlerReader {
    private static let kinds = ["command", "swift", "discard"]
    /// Kinds that the design has and this version does not.
    private static let laterKinds = ["process", "http", "sql"]
    private static let commandOptions = ["environment", "working_directory", "termination_grace", "snooze"]

    let context: ReadingContext

    func read(_ queue: KeyReader) -> HandlerConfiguration {
        let example = "{ command = [\"/usr/lib/app/send-email\"] }"
        if !queue.has("handler") { queue.require(["handler"], "is missing; write handler = \(example)") }
        guard let reader = queue.table("handler", expected: "a table such as \(example)") else { return .discard }
        let handler = kind(reader)
        reader.finish()
        return handler
    }

    private func kind(_ reader: KeyReader) -> HandlerConfiguration {
        let command = command(reader)
        let name = swiftName(reader)
        let discards = reader.boolean("discard", default: true)
        if reader.has("discard"), !discards {
            reader.refuse("false says nothing; leave it out, or write true", at: "discard")
        }
        for kind in Self.laterKinds where reader.has(kind) {
            _ = reader.entry(kind)
            reader.refuse("this version has no \(kind) handlers; it has command, swift and discard", at: kind)
        }
        let given = (Self.kinds + Self.laterKinds).filter(reader.has)
        if given.count > 1 {
            context.log.add("\(given.joined(separator: " and ")) contradict each other; give one", at: reader.home)
        }
        if given.isEmpty {
            reader.require(Self.kinds, "says no kind; give one of \(Self.kinds.joined(separator: ", "))")
        }
        if !given.isEmpty, !reader.has("command") {
            for option in Self.commandOptions where reader.has(option) {
                reader.refuse("goes with a command only", at: option)
            }
        }
        return command ?? name.map { .swift(name: $0) } ?? .discard
    }

    private func swiftName(_ reader: KeyReader) -> String? {
        reader.setting("swift", default: nil) { entry throws(Mistake) in
            let text = try reader.text(entry, expected: "the name of a registered handler")
            guard !text.value.isEmpty else { throw Mistake("must not be empty") }
            return text.value
        }
    }

    /// Asks for the options even where there is no command, so that they are known keys.
    private func command(_ reader: KeyReader) -> HandlerConfiguration? {
        let environment = environment(reader)
        let workingDirectory: String? = reader.setting("working_directory", default: nil) { entry throws(Mistake) in
            try reader.folder(entry).value
        }
        let terminationGrace = reader.duration(
            "termination_grace",
            default: HandlerConfiguration.defaultTerminationGrace,
            in: Bounds.grace
        )
        let snooze = reader.duration("snooze", default: HandlerConfiguration.defaultSnooze, in: Bounds.snooze)
        let argv: [String]? = reader.setting("command", default: nil) { entry throws(Mistake) in
            try arguments(entry, reader)
        }
        guard let argv else { return nil }
        return .command(
            argv: argv,
            environment: environment,
            workingDirectory: workingDirectory,
            terminationGrace: terminationGrace,
            snooze: snooze
        )
    }

    private func arguments(_ entry: KeyReader.Entry, _ reader: KeyReader) throws(Mistake) -> [String] {
        let expected = "an array of strings, the program and its arguments (no shell reads them)"
        guard let array = entry.value.array else { throw KeyReader.wrongType(entry, expected: expected) }
        var texts: [ConfigurationText] = []
        for (number, element) in array.enumerated() {
            let entry = KeyReader.Entry(value: element.tomlValue, place: entry.place.index(number))
            do throws(Mistake) {
                texts.append(try reader.text(entry, expected: "a string"))
            } catch {
                context.log.add(error.message, at: entry.place)
            }
        }
        // A program whose name was refused has been told of already.
        guard texts.count == array.count else { return [] }
        guard let program = texts.first else { throw Mistake("is empty; expected \(expected)") }
        let search = context.values.environment["PATH"]
        let found = try Program.find(program.value, shown: program.shown, searchPath: search)
        return [found] + texts.dropFirst().map(\.value)
    }

    private func environment(_ reader: KeyReader) -> [String: String] {
        guard let table = reader.table("environment", expected: "a table such as { LANG = \"C.UTF-8\" }") else {
            return [:]
        }
        return table.texts { name throws(Mistake) in
            guard Interpolation.isVariableName(name) else {
                throw Mistake("is no variable's name: letters, digits and _ only, and no digit first")
            }
            // The command handler would refuse it too, but only when the daemon starts.
            guard !name.hasPrefix(CommandHandler.reservedPrefix) else {
                throw Mistake(
                    "is set by pgmqd itself; choose a name that does not begin with \(CommandHandler.reservedPrefix)"
                )
            }
        }
    }
}
