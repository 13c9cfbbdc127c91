/// What stands between a queue and its worker, in words that say what to do. One place for `run` and `check`.
enum Problem {
    static func missing(queue: QueueName) -> String {
        "queue \"\(queue)\" does not exist; create it with `pgmqd migrate --create-queues` or select pgmq.create('\(queue)')"
    }

    static func missing(deadLetter queue: QueueName) -> String {
        "dead-letter " + missing(queue: queue)
    }
}

extension QueueShape {
    /// Empty: nothing is taken from the queue that could not be put away.
    func problems(queue: QueueName, deadLetter: QueueName) -> [String] {
        var problems: [String] = []
        if !hasJournal {
            problems.append("schema pgmqd is missing or incomplete; run `pgmqd migrate` as the owner of the database")
        }
        if deadLetterTable == nil { problems.append(Problem.missing(deadLetter: deadLetter)) }
        problems += missingAccess
        if !hasPrimaryKey || !hasTimeIndex {
            problems.append(
                """
                queue "\(queue)" has no index on \(hasTimeIndex ? "msg_id" : "vt"), so every claim would read all of it; \
                `pgmqd migrate` prints the statements that make the indexes
                """
            )
        }
        return problems
    }
}
