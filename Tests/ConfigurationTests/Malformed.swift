import TestSupport
import Testing

/// A text and the lines of its complaint, in full and in order: nothing more is said, and nothing less.
struct Malformed: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let complaint: [String]

    init(_ description: String, _ text: String, _ complaint: String...) {
        self.testDescription = description
        self.text = text
        self.complaint = complaint
    }

    /// One queue, `emails`, that is right but for these lines, the first of which is line 7.
    static func queue(_ description: String, _ lines: String, _ complaint: String...) -> Malformed {
        Malformed(description, "\(sound)\n\(lines)", complaint)
    }

    /// One queue, `emails`, that is right but for its handler, on line 6.
    static func handler(_ description: String, _ handler: String, _ complaint: String...) -> Malformed {
        let text = sound.split(separator: "\n", omittingEmptySubsequences: false).dropLast().joined(separator: "\n")
        return Malformed(description, "\(text)\nhandler = \(handler)", complaint)
    }

    private init(_ description: String, _ text: String, _ complaint: [String]) {
        self.testDescription = description
        self.text = text
        self.complaint = complaint
    }
}

/// Shows the text to the program, which must refuse it with these lines, say nothing else, and exit with 78.
func expectRefusal(_ malformed: Malformed) async throws {
    let folder = try TestFolder()
    let file = try folder.write("pgmqd.toml", malformed.text)
    let run = try await ProgramRun(["check", "-c", file])
    #expect(run.code == 78)
    #expect(run.text == "")
    #expect(run.errors.replacing("\(folder.path)/", with: "") == malformed.complaint.joined(separator: "\n") + "\n")
}
