/// Finds the names in an SQL text that the search_path decides about: functions, types, tables and operators without a
/// schema. It knows as much of SQL as our statements and functions need.
struct NameScanner {
    private enum Token: Equatable {
        case word(String)
        case quoted(String)
        case number
        case literal
        case symbol(String)
    }

    private let tokens: [Token]

    init(_ sql: String) {
        tokens = Self.tokens(of: sql)
    }

    /// Functions that are called, types that are cast to, and tables.
    var names: [String] {
        let tables = commonTables
        return tokens.indices.compactMap { index in
            guard let name = name(at: index), token(index - 1) != .symbol(".") else { return nil }
            if token(index + 1) == .symbol("("), isCall(name, at: index) { return "\(name)(" }
            if isCast(at: index), !Self.keywordTypes.contains(name), token(index + 1) != .symbol(".") {
                return "::\(name)"
            }
            if isTable(at: index), !tables.contains(name), token(index + 1) != .symbol(".") { return "from \(name)" }
            return nil
        }
    }

    /// Operators, and what the parser makes operators of.
    var operators: [String] {
        tokens.indices.compactMap { index in
            switch token(index) {
            case .word(let word) where Self.hiddenOperators.contains(word): word
            case .symbol(let symbol) where symbol.allSatisfy(Self.operatorCharacters.contains):
                isOperator(symbol, at: index) ? symbol : nil
            default: nil
            }
        }
    }

    /// The functions that are named with their schema.
    var qualifiedFunctions: Set<String> {
        Set(
            tokens.indices.compactMap { index in
                guard token(index - 1) == .symbol("."), token(index - 2) == .word("pg_catalog"),
                    token(index + 1) == .symbol("(")
                else { return nil }
                return name(at: index)
            }
        )
    }

    // MARK: - Grammar

    private static let syntax: Set<String> = [
        "all", "and", "any", "array", "as", "by", "case", "cast", "coalesce", "conflict", "constant", "distinct",
        "else",
        "exists", "extract", "filter", "from", "greatest", "if", "in", "into", "join", "least", "materialized", "not",
        "nullif", "on", "operator", "or", "over", "returning", "row", "select", "set", "some", "then", "using",
        "values",
        "when", "where", "with",
    ]

    private static let keywordTypes: Set<String> = [
        "bigint", "bit", "boolean", "char", "character", "decimal", "double", "float", "int", "integer", "interval",
        "numeric", "real", "smallint", "time", "timestamp", "varchar",
    ]

    private static let hiddenOperators: Set<String> = ["between", "ilike", "in", "like", "nullif", "similar"]
    private static let operatorCharacters: Set<Character> = [
        "+", "-", "*", "/", "<", ">", "=", "~", "!", "@", "#", "%", "^", "&", "|",
    ]

    private func token(_ index: Int) -> Token? {
        tokens.indices.contains(index) ? tokens[index] : nil
    }

    private func name(at index: Int) -> String? {
        switch token(index) {
        case .word(let name), .quoted(let name): name
        default: nil
        }
    }

    private func isCall(_ name: String, at index: Int) -> Bool {
        if case .word = token(index), Self.syntax.contains(name) { return false }
        // The names of an alias's columns.
        if token(index - 1) == .word("as") { return false }
        // `over (` and `double precision` apart, a table's columns follow its name, which has a schema.
        return !(name == "unnest" && arguments(at: index + 1) > 1)
    }

    private func isCast(at index: Int) -> Bool {
        token(index - 1) == .symbol(":") && token(index - 2) == .symbol(":")
    }

    private func isTable(at index: Int) -> Bool {
        guard case .word(let word) = token(index - 1), token(index + 1) != .symbol("(") else { return false }
        switch word {
        case "from", "using": return token(index - 2) != .word("epoch")
        case "join": return true
        case "into": return token(index - 2) == .word("insert")
        default: return false
        }
    }

    private var commonTables: Set<String> {
        Set(
            tokens.indices.compactMap { index in
                guard token(index + 1) == .word("as"), [.symbol("("), .word("materialized")].contains(token(index + 2))
                else { return nil }
                return name(at: index)
            }
        )
    }

    /// How many there are in the parentheses that open here.
    private func arguments(at start: Int) -> Int {
        var (depth, commas) = (0, 0)
        for index in start..<tokens.count {
            switch tokens[index] {
            case .symbol("("), .symbol("["): depth += 1
            case .symbol(")"), .symbol("]"): depth -= 1
            case .symbol(",") where depth == 1: commas += 1
            default: break
            }
            if depth == 0 { break }
        }
        return commas + 1
    }

    private func isOperator(_ symbol: String, at index: Int) -> Bool {
        let before = token(index - 1)
        switch symbol {
        case "=>": return false
        // All columns, or count(*).
        case "*" where [.symbol("("), .symbol("."), .symbol(","), .word("select")].contains(before): return false
        // An assignment.
        case "=" where before == .symbol(":"): return false
        case "=" where [.word("set"), .symbol(",")].contains(token(index - 2)) && name(at: index - 1) != nil:
            return false
        case "-" where token(index + 1) == .number: return !isSign(at: index)
        // operator(pg_catalog.=)
        default: return before != .symbol(".")
        }
    }

    /// Whether a minus stands where no left operand can be: behind an operator, a comma or an opening parenthesis.
    private func isSign(at index: Int) -> Bool {
        guard case .symbol(let before) = token(index - 1) else { return false }
        guard before == ")" else { return before != "]" }
        // operator(pg_catalog.=) -1
        guard case .symbol(let last) = token(index - 2) else { return false }
        return last.allSatisfy(Self.operatorCharacters.contains)
    }

    // MARK: - Words

    private static func tokens(of sql: String) -> [Token] {
        var tokens: [Token] = []
        var rest = Substring(sql)
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if rest.hasPrefix("--") {
                rest = rest.drop { !$0.isNewline }
            } else if first == "'" || first == "\"" {
                let text = rest.dropFirst().prefix { $0 != first }
                // A doubled quote makes two of one, which does not matter here.
                rest = rest.dropFirst(text.count + 2)
                tokens.append(first == "'" ? .literal : .quoted(String(text)))
            } else if first == "$", let end = rest.dropFirst().firstIndex(where: { !isOfWord($0) }), rest[end] == "$" {
                // What is quoted like this is SQL itself.
                rest = rest[rest.index(after: end)...]
            } else if first == "$" || first.isNumber {
                rest = rest.dropFirst().drop { isOfWord($0) || $0 == "." }
                tokens.append(.number)
            } else if isOfWord(first) {
                let word = rest.prefix(while: isOfWord)
                rest = rest.dropFirst(word.count)
                tokens.append(.word(word.lowercased()))
            } else if operatorCharacters.contains(first) {
                let symbol = rest.prefix { operatorCharacters.contains($0) }
                rest = rest.dropFirst(symbol.count)
                tokens.append(.symbol(String(symbol)))
            } else {
                rest.removeFirst()
                tokens.append(.symbol(String(first)))
            }
        }
        return tokens
    }

    private static func isOfWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}
