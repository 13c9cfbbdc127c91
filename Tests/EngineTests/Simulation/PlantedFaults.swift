import Engine
import QueueModel
import Testing

/// A simulation that finds nothing proves something only if it finds what was hidden in it.
@Suite struct PlantedFaults {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fault: PlantedFault
        var scenario: Scenario?
    }

    static let cases = [
        Case(testDescription: "no fence", fault: PlantedFault(model: .noFence)),
        Case(testDescription: "a fence on read_ct alone", fault: PlantedFault(model: .readCountFence)),
        Case(testDescription: "a duplicated journal row", fault: PlantedFault(model: .duplicatedJournalRow)),
        Case(testDescription: "a renewal that lowers a vt", fault: PlantedFault(model: .loweringRenewal)),
        Case(testDescription: "a settlement believed before Sync", fault: PlantedFault(believesBeforeSync: true)),
        Case(testDescription: "an exclusive floor", fault: PlantedFault(floorIsExclusive: true)),
        Case(testDescription: "no sweep", fault: PlantedFault(neverSweeps: true)),
    ]

    @Test func loads() async {
        var world = World(seed: 3, only: .saturation, traced: true)
        let v = world.run()
        Issue.record("\(v ?? "-") \n \((world.trace?.lines ?? []).joined(separator: "\n"))")
    }

    @Test(arguments: cases) func isCaught(planted: Case) async {
        let failures = await Seeds.run(count: 2000, fault: planted.fault, untilFirst: true)
        Issue.record("\(planted.testDescription): \(failures.first.map { "\($0)" } ?? "-")")
        #expect(!failures.isEmpty)
    }
}
