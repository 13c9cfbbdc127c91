import Engine
import QueueModel

/// What must hold while messages never stop coming: nothing waits long, and nothing is looked for in vain.
extension Ledger {
    /// Under a load that never ends nothing may be overlooked for long.
    mutating func checkWaiting(_ token: Int, now: Int64) {
        let waited = now - tokens[token].waitingSince
        if plan.scenario == .load, waited > 400_000 { fail("message \(token) waited \(waited) µs") }
        // The rows that cannot be claimed hold nobody back for longer than it takes to find them; and the safety interval
        // of a queue that is not rung is half a second.
        if plan.scenario == .idle, waited > 1_200_000 { fail("message \(token) waited \(waited) µs in an idle queue") }
    }

    /// A claim above the floor that is not full has left nothing there.
    mutating func checkPassedOver(_ claim: Claim, claimed: Int, _ model: QueueModel, clock: Timestamp) {
        if claim.reach == .all, claimed == 0 { highestVT = max(highestVT, clock) }
        guard plan.scenario == .load, claim.reach == .floor, claimed < claim.limit else { return }
        for row in model.rows where row.lockedBy == 0 {
            guard let vt = row.committed?.vt, vt >= highestVT, vt <= clock else { continue }
            fail("a claim passed over message \(Self.token(of: row.body))")
        }
    }

    /// Claims without a floor walk through everything that is dead: under load there is no reason for them.
    mutating func claims(_ exchange: Exchange, now: Int64) {
        guard plan.scenario == .load, exchange.claim?.reach == .all else { return }
        unfloored += 1
        if unfloored > 10 { fail("ten claims without a floor in \(now) µs of work") }
    }
}
