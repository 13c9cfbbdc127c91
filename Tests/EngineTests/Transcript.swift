import Engine

/// The words in which the transcripts are written: moments in milliseconds, leases by number.
let beginning = Instant.now

func at(_ milliseconds: Double) -> Instant {
    beginning + .microseconds(Int64(milliseconds * 1000))
}

/// The server's clock at that moment.
func clock(_ milliseconds: Double) -> Timestamp {
    Timestamp(microseconds: 1_700_000_000_000_000 + Int64(milliseconds * 1000))
}

func policy(
    workers: Int = 2,
    maxAttempts: Int = 3,
    runsInProcess: Bool = false,
    maxInflightBytes: Int = 64 << 20
) -> QueuePolicy {
    QueuePolicy(
        name: "q",
        workers: workers,
        visibilityTimeout: .seconds(30),
        handlerTimeout: .seconds(300),
        retry: RetryPolicy(maxAttempts: maxAttempts, first: .seconds(2), factor: 2, max: .seconds(10), jitter: 0),
        runsInProcess: runsInProcess,
        maxInflightBytes: maxInflightBytes
    )
}

func lease(
    _ id: Int64,
    readCount: Int32 = 1,
    _ history: History = .none,
    size: Int = 10,
    isOversized: Bool = false,
    isUnread: Bool = false,
    vt: Double = 0
) -> Lease {
    let fence = Fence(messageID: id, readCount: readCount, readAt: clock(0))
    return Lease(
        delivery: Delivery(fence: fence, enqueuedAt: clock(-1000)),
        body: isOversized || isUnread ? nil : [123, 125],
        headers: nil,
        size: size,
        isOversized: isOversized,
        isUnread: isUnread,
        history: history,
        formerVT: clock(vt)
    )
}

func settlement(_ lease: Lease, _ outcome: Outcome, _ attempt: Attempt? = nil) -> Settlement {
    Settlement(delivery: lease.delivery, outcome: outcome, attempt: attempt)
}

extension Settlement {
    /// As it goes out again after nobody knew what became of it.
    var again: Settlement {
        var settlement = self
        settlement.mayHaveHappened = true
        return settlement
    }
}

extension Job {
    var exchange: Exchange? {
        if case .exchange(let exchange) = self { exchange } else { nil }
    }

    var claim: Claim? { exchange?.claim }
    var settlements: [Settlement] { exchange?.settlements ?? [] }

    static func claim(_ limit: Int, _ reach: Claim.Reach = .all, floor: Timestamp? = nil) -> Job {
        .exchange(Exchange(claim: Claim(limit: limit, reach: reach, floor: floor, bytesEach: (16 << 20) / limit)))
    }

    static func settle(_ settlements: Settlement..., lost: [Delivery] = []) -> Job {
        .exchange(Exchange(settlements: settlements, lost: lost))
    }
}

extension Flow {
    init(_ policy: QueuePolicy) {
        self.init(policy: policy, seed: 1)
    }

    /// Answers a job that claims or settles.
    mutating func answer(
        _ job: Job?,
        _ claimed: [Lease] = [],
        refused: Set<Fence> = [],
        clock time: Timestamp? = nil,
        sent: Double? = nil,
        now: Double
    ) {
        guard let exchange = job?.exchange else { return }
        let result = ExchangeResult(
            refused: refused,
            claimed: claimed,
            clock: time ?? clock(now),
            sent: at(sent ?? now)
        )
        completed(exchange, result, now: at(now))
    }

    /// Answers a job that claims or settles, at a moment that the flow itself has named.
    mutating func answer(_ job: Job?, _ claimed: [Lease] = [], at now: Instant) {
        guard let exchange = job?.exchange else { return }
        completed(exchange, ExchangeResult(claimed: claimed, clock: clock(0), sent: now), now: now)
    }

    mutating func fail(_ job: Job?, _ failure: QueueFailure, now: Double) {
        guard let exchange = job?.exchange else { return }
        failed(exchange, failure, now: at(now))
    }

    /// Claims these, and nothing else.
    mutating func receive(_ leases: [Lease], now: Double) {
        answer(nextJob(now: at(now)), leases, now: now)
    }

    /// - Returns: the id of the message this worker begins, or nil if there is none for it.
    mutating func begin(_ worker: Int, now: Double) -> Int64? {
        switch take(worker: worker, now: at(now)) {
        case .run(let message), .read(let message, _): message.id
        case .wait, .stop: nil
        }
    }

    mutating func end(_ worker: Int, _ verdict: Verdict, now: Double) {
        finished(worker: worker, verdict: verdict, now: at(now))
    }

    /// Sends what is there to settle, and tells what it was.
    mutating func settleAll(now: Double) -> [Settlement] {
        var all: [Settlement] = []
        while snapshot(now: at(now)).unsettled > 0, let job = nextJob(now: at(now)) {
            all += job.settlements
            answer(job, now: now)
        }
        return all
    }
}
