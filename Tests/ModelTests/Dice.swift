/// A seeded generator: the same seed throws the same.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed &* 0xD134_2543_DE82_EF95 &+ 1
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<max(1, bound), using: &self)
    }

    mutating func chance(_ percent: Int) -> Bool {
        below(100) < percent
    }

    mutating func index(weights: [Int]) -> Int {
        var throwing = below(weights.reduce(0, +))
        for (index, weight) in weights.enumerated() {
            if throwing < weight { return index }
            throwing -= weight
        }
        return 0
    }

    /// Some of these, each at most once, in their order.
    mutating func some<T>(_ count: Int, of all: [T]) -> [T] {
        all.indices.shuffled(using: &self).prefix(count).sorted().map { all[$0] }
    }
}
