import DequeModule

extension Flow {
    /// The leases to extend now, or nil.
    ///
    /// Every lease that is held, unstarted ones too; not those whose outcome is decided, but for outcomes that the
    /// database does not let go: their messages would run again elsewhere.
    public mutating func nextRenewal(now: Instant) -> RenewalOrder? {
        guard !renewing, let renewAt, renewAt <= now else { return nil }
        var fences = runs.compactMap { run in
            run.flatMap { $0.cause != .leaseLost ? $0.lease.fence : nil }
        }
        for waiting in ready where waiting.until > now { fences.append(waiting.lease.fence) }
        if let suspect = caution.suspect { fences.append(suspect.fence) }
        for item in again where item.isStuck { fences += item.settlements.map(\.fence) }
        let goesOn = held - reserved > 0 || caution.isActive || stuck > 0
        self.renewAt = goesOn ? now + policy.visibilityTimeout / 3 : nil
        guard !fences.isEmpty else { return nil }
        renewing = true
        renewingSince = now
        fences.sort { $0.messageID < $1.messageID }
        let end = now + policy.renewalWindow
        lateRenewals.began(fences, until: end, now: now)
        return RenewalOrder(fences: fences, notAfter: serverTime(at: end) ?? Timestamp(microseconds: .max))
    }

    /// The server's clock at that moment of ours, never earlier than it will be unless it is set back.
    private func serverTime(at moment: Instant) -> Timestamp? {
        serverClock.map { Timestamp(microseconds: $0.time.microseconds + (moment - $0.sent).inMicroseconds) }
    }

    /// - Returns: the workers whose handlers are to be cancelled.
    public mutating func renewed(_ fences: [Fence], _ renewals: Renewals, now: Instant) -> [Int] {
        renewing = false
        renewalFailures = 0
        lateRenewals.answered()
        if let clock = renewals.clock { serverClock = (clock, renewals.sent) }
        // What waited for this answer need not wait for the renewal's last moment.
        for index in again.indices where again[index].echoDue != nil {
            let isOver = again[index].settlements.allSatisfy { lateRenewals.end(of: $0.fence, now: now) == nil }
            if isOver { again[index].notBefore = now }
        }
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
    ///
    /// Until a renewal succeeds nothing is claimed, because a handler that takes longer than its lease would be
    /// cancelled, and begun again with the next claim. With no lease left there is nothing to renew: then one message is
    /// claimed after a while, more rarely each time.
    public mutating func renewalFailed(now: Instant) {
        renewing = false
        renewalFailures += 1
        let delay = grown(.seconds(1), times: renewalFailures - 1, most: .seconds(60))
        claimUnrenewedAt = now + delay
        renewSoon(now: now)
    }

    /// Whether claims wait for a renewal to succeed.
    func waitsForRenewal(now: Instant) -> Bool {
        if renewing, let renewingSince, now - renewingSince > policy.visibilityTimeout / 3 { return true }
        guard renewalFailures > 0 else { return false }
        return held > 0 || claimUnrenewedAt.map { now < $0 } ?? false
    }

    private mutating func renewSoon(now: Instant) {
        renewAt = earliest(renewAt, now + policy.visibilityTimeout / 20)
    }
}
