import PGMQWorker

@main
struct ExampleDaemon {
    static func main() async {}
}
