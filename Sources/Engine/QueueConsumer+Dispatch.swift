import Logging

/// What is to be done once the lock is left.
struct Due {
    var assignments: [(CheckedContinuation<Assignment, Never>, Assignment)] = []
    var errands: [(CheckedContinuation<QueueConsumer.Errand, Never>, QueueConsumer.Errand)] = []
    var renewal: (CheckedContinuation<RenewalOrder?, Never>, RenewalOrder?)?
    var ended: [CheckedContinuation<Void, Never>] = []
    var alarm: Instant?
    var news: News?
    /// A pause that began, or nil inside for one that ended.
    var pause: String??
}

extension QueueConsumer.State {
    /// Gives idle workers and pumps what the flow has for them.
    mutating func dispatch(now: Instant) -> Due {
        var due = Due()
        assign(&due, now: now)
        while !idlePumps.isEmpty, let job = flow.nextJob(now: now) {
            due.errands.append((idlePumps.removeLast(), .job(job)))
        }
        if idleRenewer != nil, let order = flow.nextRenewal(now: now), let renewer = idleRenewer.take() {
            due.renewal = (renewer, order)
        }
        due.news = flow.takeNews()
        if flow.pauseReason != pauseLogged {
            pauseLogged = flow.pauseReason
            due.pause = .some(pauseLogged)
        }
        if flow.isFinished { end(&due) }
        due.alarm = toArm(flow.nextAlarm())
        return due
    }

    /// - Returns: the moment, where the timer is not armed for it or an earlier one.
    mutating func toArm(_ time: Instant?) -> Instant? {
        guard let time, armed.map({ time < $0 }) ?? true else { return nil }
        armed = time
        return time
    }

    private mutating func assign(_ due: inout Due, now: Instant) {
        while let idle = idleWorkers.last {
            let assignment = flow.take(worker: idle.worker, now: now)
            if case .wait = assignment { return }
            idleWorkers.removeLast()
            due.assignments.append((idle.continuation, assignment))
        }
    }

    private mutating func end(_ due: inout Due) {
        hasEnded = true
        for pump in idlePumps { due.errands.append((pump, .end)) }
        idlePumps = []
        for idle in idleWorkers { due.assignments.append((idle.continuation, .stop)) }
        idleWorkers = []
        if let renewer = idleRenewer.take() { due.renewal = (renewer, nil) }
        due.ended = ended
        ended = []
    }
}

extension QueueConsumer {
    func log(_ due: Due) {
        if let news = due.news { log(news) }
        if let pause = due.pause {
            if let reason = pause {
                logger.error("queue paused", metadata: ["reason": "\(reason)"])
            } else {
                logger.notice("queue resumed")
            }
        }
    }

    private func log(_ news: News) {
        // One line an event, however many there are: the log folds lines that are alike.
        for id in news.lost {
            logger.warning("lease lost; another worker may have the message now", metadata: ["msg_id": "\(id)"])
        }
        for burial in news.deadLettered {
            logger.warning(
                "dead-lettered; `pgmqd dlq list` shows why",
                metadata: ["msg_id": "\(burial.messageID)", "deliveries": "\(burial.deliveries)"]
            )
        }
        for run in news.failed {
            logger.warning(
                "handler failed; pgmqd.journal has the reason",
                metadata: [
                    "msg_id": "\(run.messageID)",
                    "attempt": "\(run.attempt.number)",
                    "outcome": "\(run.attempt.kind.rawValue)",
                    "took": "\(run.attempt.duration.inSecondsText)",
                ]
            )
        }
        for row in news.unclaimable {
            logger.error(
                row.staysForGood
                    ? "row passed over; it can be neither claimed nor dead-lettered, and stays in its queue"
                    : "row passed over, because no claim can take it; the queue claims the others",
                metadata: ["msg_id": "\(row.messageID)", "reason": "\(row.reason.loggableReason)"]
            )
        }
        if !news.cutOff.isEmpty {
            logger.warning(
                "shutdown grace over; handlers are cancelled, and their messages are handed back",
                metadata: ["count": "\(news.cutOff.count)", "msg_ids": "\(Self.listed(news.cutOff))"]
            )
        }
        if news.abandoned > 0 {
            logger.error(
                "stopped with work left; the messages become visible when their leases end",
                metadata: ["count": "\(news.abandoned)"]
            )
        }
        for trouble in news.troubles {
            logger.error(
                "outcome refused, retried",
                metadata: ["msg_id": "\(trouble.messageID)", "reason": "\(trouble.reason.loggableReason)"]
            )
        }
    }

    /// The first ids of many.
    private static func listed(_ ids: [Int64]) -> String {
        let shown = ids.prefix(20).map(String.init).joined(separator: ",")
        return ids.count > 20 ? shown + ",…" : shown
    }
}
