import DequeModule

extension Flow {
    /// The leases to extend now, in `msg_id` order, or nil.
    ///
    /// Every lease that is held, unstarted ones too; not those whose outcome is decided.
    public mutating func nextRenewal(now: Instant) -> [Fence]? {
        guard !renewing, let renewAt, renewAt <= now else { return nil }
        var fences = runs.compactMap { run in
            run.flatMap { $0.cause != .leaseLost ? $0.lease.fence : nil }
        }
        for waiting in ready where waiting.until > now { fences.append(waiting.lease.fence) }
        if let suspect = caution.suspect { fences.append(suspect.fence) }
        self.renewAt = held - reserved > 0 || caution.isActive ? now + policy.visibilityTimeout / 3 : nil
        guard !fences.isEmpty else { return nil }
        renewing = true
        return fences.sorted { $0.messageID < $1.messageID }
    }

    /// - Returns: the workers whose handlers are to be cancelled.
    public mutating func renewed(_ fences: [Fence], _ renewals: Renewals, now: Instant) -> [Int] {
        renewing = false
        let until = renewals.sent + policy.visibilityTimeout
        var answers: [Fence: Renewal] = [:]
        for (fence, result) in zip(fences, renewals.results) { answers[fence] = result }
        var cancelled: [Int] = []
        for index in runs.indices {
            guard let run = runs[index], run.cause != .leaseLost, let answer = answers[run.lease.fence] else {
                continue
            }
            switch answer {
            case .renewed:
                runs[index]?.until = until
                runs[index]?.lease.place = nil
            case .skipped:
                renewSoon(now: now)
            case .lost:
                cancelled.append(index)
                loseRun(index)
            }
        }
        for index in ready.indices.reversed() {
            guard let answer = answers[ready[index].lease.fence] else { continue }
            switch answer {
            case .renewed:
                ready[index].until = until
                ready[index].lease.place = nil
            case .skipped:
                renewSoon(now: now)
            case .lost:
                let lease = ready.remove(at: index).lease
                heldBytes -= lease.held
                lose(lease)
            }
        }
        switch caution.suspect.flatMap({ answers[$0.fence] }) {
        case .renewed: caution.extended(until: until)
        case .skipped: renewSoon(now: now)
        case .lost: loseSuspect()
        case nil: break
        }
        return cancelled
    }

    /// Nothing is known of the leases; those that end before the next try are lost by their time.
    public mutating func renewalFailed(now: Instant) {
        renewing = false
        renewSoon(now: now)
    }

    private mutating func renewSoon(now: Instant) {
        renewAt = earliest(renewAt, now + policy.visibilityTimeout / 20)
    }
}
