/// Finds the name that was meant.
package enum NearestName {
    /// The nearest of the names; nil where none is near enough to be a slip of the hand.
    package static func of(_ word: String, among names: [String]) -> String? {
        let plainWord = plain(word)
        let reach = max(1, plainWord.count / 3)
        return names.map { (name: $0, distance: distance(plainWord, plain($0))) }
            .filter { $0.distance <= reach }
            .min { $0.distance < $1.distance }?
            .name
    }

    /// `; did you mean …?`, or nothing.
    package static func hint(_ word: String, among names: [String]) -> String {
        of(word, among: names).map { "; did you mean \($0)?" } ?? ""
    }

    /// Letter case and the kind of dash are no difference.
    private static func plain(_ word: String) -> [Character] {
        word.lowercased().map { $0 == "-" ? "_" : $0 }
    }

    /// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
    package static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    best = min(best, beforeLast[j - 1] + 1)
                }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
