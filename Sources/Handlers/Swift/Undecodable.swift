/// What was wrong with a body, without any of its contents: an error's own description may quote them.
func undecodable(_ error: any Error) -> String {
    switch error {
    case DecodingError.typeMismatch(let type, let context):
        "\(type) expected at \(place(context.codingPath))"
    case DecodingError.valueNotFound(let type, let context):
        "\(type) expected at \(place(context.codingPath)), which is null or missing"
    case DecodingError.keyNotFound(let key, let context):
        "nothing at \(place(context.codingPath + [key]))"
    case DecodingError.dataCorrupted(let context):
        // Foundation gives no path for a number that does not fit.
        context.codingPath.isEmpty ? "invalid value" : "invalid value at \(place(context.codingPath))"
    default:
        "\(type(of: error)) thrown by the type's own decoding"
    }
}

private func place(_ path: [any CodingKey]) -> String {
    guard !path.isEmpty else { return "the top" }
    return path.reduce(into: "") { text, key in
        // A dictionary's keys are contents, and their type is the standard library's own.
        if String(reflecting: type(of: key)) == "Swift._DictionaryCodingKey" {
            text += "[…]"
        } else if let index = key.intValue {
            text += "[\(index)]"
        } else {
            text += (text.isEmpty ? "" : ".") + key.stringValue
        }
    }
}
