import Foundation
import Handlers
import PGMQWorker

/// A daemon of one's own: a queue's handler written in Swift, with pgmqd's configuration, signals and systemd behaviour.
///
/// Its configuration says `handler = { swift = "greet" }`; run it with `ExampleDaemon path/to/pgmqd.toml`.
@main
struct ExampleDaemon {
    struct Greeting: Decodable, Sendable {
        let name: String
    }

    static func main() async {
        var handlers = HandlerRegistry()
        handlers.register("greet", decoding: Greeting.self) { greeting, context in
            guard !greeting.name.isEmpty else { throw DeadLetter(reason: "nobody to greet") }
            print("hello \(greeting.name) (message \(context.id))")
            // A pipe or the journal would else see it only when the buffer is full.
            fflush(nil)
        }
        // Nothing that takes time stands before this: until `run` is called, a signal kills the program.
        let path = CommandLine.arguments.dropFirst().first ?? DaemonProgram.defaultPath
        exit(await DaemonProgram.run(configuration: path, handlers: handlers))
    }
}
