import TOMLKit

/// One file, parsed.
struct ConfigurationFile {
    let path: String
    let table: TOMLTable
    let lines: LineIndex

    /// Nil where the text is no TOML, which the log is told.
    init?(_ source: ConfigurationSource, log: ProblemLog) {
        let table: TOMLTable
        do {
            table = try TOMLTable(string: source.text)
        } catch let error as TOMLParseError {
            log.add(
                .init(
                    file: source.path,
                    line: error.source.begin.line,
                    column: error.source.begin.column,
                    message: "not TOML: \(ParserWords.safe(error.description, at: error.source, in: source.text))"
                )
            )
            return nil
        } catch {
            log.add(.init(file: source.path, message: "not TOML"))
            return nil
        }
        self.path = source.path
        self.table = table
        self.lines = LineIndex(source.text)
        for line in lines.nulLines {
            // TOMLKit's strings end at the first NUL, so the value would be another one than the file says.
            log.add(.init(file: path, line: line, message: "a string holds \\u0000, which no value here may have"))
        }
    }

    var root: Place { Place(file: self, steps: [], shown: "") }
}
