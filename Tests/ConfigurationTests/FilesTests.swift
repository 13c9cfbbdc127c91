import PGMQWorker
import Testing

@Suite struct FilesTests {
    @Test func `queues of all files add up in the order of the names`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": sound,
            "conf.d/20-b.toml": "[[queue]]\nname = \"b\"\nhandler.discard = true",
            "conf.d/10-a.toml": "[[queue]]\nname = \"a\"\nhandler.discard = true\n[daemon]\nworkers = 3",
            "conf.d/.hidden.toml": "nonsense",
            "conf.d/README": "nonsense",
        ])
        let configuration = try folder.load()
        #expect(configuration.queues.map(\.name) == ["emails", "a", "b"])
        #expect(configuration.queues.map(\.workers) == [3, 3, 3])
    }

    @Test func `sections may be spread over files, key by key`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": sound,
            "conf.d/a.toml": "[database]\nlisten_url = \"service=direct\"",
            "conf.d/b.toml": "[admin]\nlisten = \"unix:/run/x\"",
        ])
        let configuration = try folder.load()
        #expect(configuration.database.url == Secret("postgresql:///app"))
        #expect(configuration.database.listenURL == Secret("service=direct"))
        #expect(configuration.admin.listen == .unix(path: "/run/x"))
    }

    @Test func `a key that two files set is told with both`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": sound,
            "conf.d/a.toml": "[database]\n\nurl = \"service=other\"",
        ])
        #expect(
            folder.complaint()
                == "conf.d/a.toml:3: database.url: is set in pgmqd.toml:2 already; say it in one place"
        )
    }

    @Test func `a queue that two files have is told with both`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": sound,
            "conf.d/a.toml": "[[queue]]\nname = \"Emails\"\nhandler.discard = true",
        ])
        #expect(
            folder.complaint()
                == "conf.d/a.toml:2: queue \"Emails\".name: this queue is at pgmqd.toml:4 already "
                + "(PGMQ lower-cases names)"
        )
    }

    @Test func `mistakes of all files are told at once`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": sound + "\nworker = 1",
            "conf.d/a.toml": "[daemon]\nworker = 1",
            "conf.d/b.toml": "[daemon",
        ])
        let lines = folder.complaint().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.first == "pgmqd.toml:7: queue \"emails\".worker: unknown key; did you mean workers?")
        #expect(lines.dropFirst().first == "conf.d/a.toml:2: daemon.worker: unknown key; did you mean workers?")
        #expect(lines.last?.hasPrefix("conf.d/b.toml:1:8: not TOML: ") == true)
    }

    @Test func `a file that is not there is all that is told`() throws {
        let folder = try ConfigurationFolder(["other.toml": ""])
        #expect(folder.complaint() == "pgmqd.toml: cannot be read: No such file or directory")
    }

    @Test func `a folder is no file`() throws {
        let folder = try ConfigurationFolder(["pgmqd.toml/x": ""])
        #expect(folder.complaint() == "pgmqd.toml: cannot be read: Is a directory")
    }

    @Test func `a NUL byte is refused`() throws {
        let folder = try ConfigurationFolder(["pgmqd.toml": sound + "\n# \0\nworker = 1"])
        #expect(folder.complaint() == "pgmqd.toml: holds a NUL byte")
    }

    @Test func `a file that is not executable is no command`() throws {
        let folder = try ConfigurationFolder([
            "pgmqd.toml": "[database]\nurl = \"x\"\n[[queue]]\nname = \"a\"\nhandler.command = [\"tool\"]",
            "bin/tool": "#!/bin/sh\n",
        ])
        #expect(
            folder.complaint(environment: ["PATH": "\(folder.path)/bin"])
                == "pgmqd.toml:5: queue \"a\".handler.command: \"tool\" is in PATH at bin/tool, but not executable"
        )
    }
}
