import Engine
import QueueModel
import Testing

/// A simulation that finds nothing proves something only if it finds what was hidden in it.
@Suite struct PlantedFaults {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fault: PlantedFault
        /// What the simulation has to say about it.
        let finding: String
    }

    static let cases = [
        Case(testDescription: "no fence", fault: PlantedFault(model: .noFence), finding: "stale"),
        Case(
            testDescription: "a fence on read_ct alone",
            fault: PlantedFault(model: .readCountFence),
            finding: "stale"
        ),
        Case(
            testDescription: "a duplicated journal row",
            fault: PlantedFault(model: .duplicatedJournalRow),
            finding: "two journal rows"
        ),
        Case(
            testDescription: "a renewal that lowers a vt",
            fault: PlantedFault(model: .loweringRenewal),
            finding: "lowered"
        ),
        Case(
            testDescription: "a settlement believed before Sync",
            fault: PlantedFault(believesBeforeSync: true),
            finding: "believed settled"
        ),
        Case(
            testDescription: "an exclusive floor",
            fault: PlantedFault(floorIsExclusive: true),
            finding: "passed over"
        ),
        Case(testDescription: "no sweep", fault: PlantedFault(neverSweeps: true), finding: "waited"),
        Case(
            testDescription: "a delay that leaves the fence",
            fault: PlantedFault(model: .delayKeepsFence),
            finding: "landed behind"
        ),
        Case(
            testDescription: "a failed registration that is believed",
            fault: PlantedFault(neglects: .failedRegistration),
            finding: "in an idle queue"
        ),
        Case(
            testDescription: "claims in spite of renewals that fail",
            fault: PlantedFault(neglects: .failedRenewal),
            finding: "no lease was renewed"
        ),
        Case(
            testDescription: "rows that the database keeps taken for lost leases",
            fault: PlantedFault(neglects: .keptRows),
            finding: "succeeded 2 times"
        ),
        Case(
            testDescription: "refused claims that are not divided",
            fault: PlantedFault(neglects: .refusedClaims),
            finding: "not at rest"
        ),
    ]

    @Test(arguments: cases) func isCaught(planted: Case) async {
        let failures = await Seeds.run(count: 2000, fault: planted.fault, until: planted.finding)
        #expect(failures.contains { $0.violation.contains(planted.finding) }, "\(failures)")
    }
}
