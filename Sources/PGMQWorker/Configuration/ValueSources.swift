/// Where the references inside strings get their values.
struct ValueSources {
    let environment: [String: String]

    /// The text with every reference replaced; all that is missing at once.
    func expand(_ text: String) throws(Mistake) -> String {
        var expanded = ""
        var missing: [String] = []
        for part in Interpolation.parts(of: text) {
            switch part {
            case .literal(let literal):
                expanded += literal
            case .reference(let reference):
                do throws(Mistake) {
                    expanded += try value(of: reference)
                } catch {
                    missing.append(error.message)
                }
            case .malformed:
                missing.append("a ${…} must hold NAME or credential:NAME; write $${ where ${ itself is meant")
            }
        }
        guard missing.isEmpty else { throw Mistake(missing.joined(separator: "; ")) }
        return expanded
    }

    private func value(of reference: Interpolation.Reference) throws(Mistake) -> String {
        switch reference {
        case .variable(let name):
            guard let value = environment[name] else {
                throw Mistake("the environment has no variable \(name)")
            }
            return value
        case .credential(let name):
            guard let folder = environment["CREDENTIALS_DIRECTORY"] else {
                throw Mistake(
                    "credential \(name): there is no CREDENTIALS_DIRECTORY; the unit needs "
                        + "LoadCredential=\(name):/etc/pgmqd/secrets/\(name), and outside of it a command is told the "
                        + "folder: CREDENTIALS_DIRECTORY=/etc/pgmqd/secrets pgmqd …"
                )
            }
            do throws(Mistake) {
                return withoutLineEnd(try Disk.text(of: "\(folder)/\(name)"))
            } catch {
                throw Mistake("credential \(name): \(folder)/\(name) \(error.message)")
            }
        }
    }

    /// Less the line end that an editor or `echo` left.
    private func withoutLineEnd(_ text: String) -> String {
        // A carriage return and line feed are one Character.
        text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}
