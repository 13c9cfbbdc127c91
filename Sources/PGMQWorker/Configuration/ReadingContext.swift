/// What every part of a reading has in common.
struct ReadingContext {
    let log: ProblemLog
    let values: ValueSources
    /// Whether every file could be read; what seems missing may stand in one that could not.
    let isComplete: Bool
}
