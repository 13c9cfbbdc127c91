import TOMLKit

/// Takes the keys of one table, which may be spread over several files, and notes what is wrong with them.
///
/// The keys that were asked for are the keys that exist, so there is no second list of them. Where a value is refused
/// the caller gets the default and goes on, so that everything is told at once.
final class KeyReader {
    struct Layer {
        let table: TOMLTable
        let place: Place
    }

    struct Entry {
        let value: TOMLValue
        let place: Place
    }

    let context: ReadingContext
    /// Where the table stands, or would stand.
    let home: Place
    private let layers: [Layer]
    private var asked: [String] = []
    private var missing: [(names: [String], message: String)] = []

    init(_ layers: [Layer], home: Place, context: ReadingContext) {
        self.layers = layers
        self.home = home
        self.context = context
    }

    convenience init(_ layer: Layer, context: ReadingContext) {
        self.init([layer], home: layer.place, context: context)
    }

    /// The value of a key, which only one of the files may have.
    func entry(_ key: String) -> Entry? {
        asked.append(key)
        var found: Entry?
        for layer in layers {
            guard let node = layer.table[key] else { continue }
            let place = layer.place.key(key)
            if let found {
                context.log.add("is set in \(found.place.location) already; say it in one place", at: place)
            } else {
                found = Entry(value: node.tomlValue, place: place)
            }
        }
        return found
    }

    /// Where a key stands, or would stand.
    func place(_ key: String) -> Place {
        (layers.first { $0.table.contains(key: key) }?.place ?? home).key(key)
    }

    func has(_ key: String) -> Bool {
        layers.contains { $0.table.contains(key: key) }
    }

    var keys: [String] { layers.flatMap(\.table.keys) }

    func refuse(_ message: String, at key: String) {
        context.log.add(message, at: place(key))
    }

    /// Notes that one of these keys had to be there; said at the end, and only where none of them was misspelt.
    func require(_ names: [String], _ message: String) {
        missing.append((names, message))
    }

    func setting<Value>(
        _ key: String,
        default fallback: Value,
        _ convert: (Entry) throws(Mistake) -> Value
    ) -> Value {
        guard let entry = entry(key) else { return fallback }
        do throws(Mistake) {
            return try convert(entry)
        } catch {
            context.log.add(error.message, at: entry.place)
            return fallback
        }
    }

    /// Refuses the keys nobody asked for, and says what is missing.
    ///
    /// - Returns: the names that were probably meant.
    @discardableResult
    func finish() -> Set<String> {
        var meant: Set<String> = []
        for layer in layers {
            for key in layer.table.keys where !asked.contains(key) {
                meant.formUnion(NearestName.of(key, among: asked).map { [$0] } ?? [])
                let hint = NearestName.hint(key, among: asked)
                context.log.add("unknown key\(hint)", at: layer.place.key(key))
            }
        }
        for (names, message) in missing where meant.isDisjoint(with: names) && context.isComplete {
            let place = names.count == 1 ? names.first.map(home.key) : nil
            context.log.add(message, at: place ?? home)
        }
        return meant
    }
}
