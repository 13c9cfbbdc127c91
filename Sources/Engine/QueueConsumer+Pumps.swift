import Logging
import Synchronization

extension QueueConsumer {
    /// Carries jobs to the database, one after the other.
    func pump(_ number: Int) async {
        while true {
            switch await nextErrand() {
            case .job(let job):
                state.withLock { $0.pulse.began(pump: number, now: .now) }
                await run(job)
                state.withLock { $0.pulse.ended(pump: number) }
            case .turn:
                break
            case .end:
                return
            }
        }
    }

    private func nextErrand() async -> Errand {
        await withCheckedContinuation { continuation in
            let now = Instant.now
            let due = state.withLock { state in
                state.pulse.turned(now: now)
                state.idlePumps.append(continuation)
                return state.dispatch(now: now)
            }
            handOut(due)
        }
    }

    private func run(_ job: Job) async {
        switch job {
        case .exchange(let exchange):
            do throws(QueueFailure) {
                let result = try await queue.exchange(exchange)
                perform { flow, now in flow.completed(exchange, result, now: now) }
            } catch {
                perform { flow, now in flow.failed(exchange, error, now: now) }
            }
        case .closePhantoms(let held):
            do throws(QueueFailure) {
                try await queue.closePhantoms(holding: held)
                perform { flow, now in flow.closedPhantoms(nil, now: now) }
            } catch {
                perform { flow, now in flow.closedPhantoms(error, now: now) }
            }
        case .register:
            let heard = try? await queue.fallAsleep()
            perform { flow, now in flow.registered(heard, now: now) }
        case .unregister:
            try? await queue.wakeUp()
            perform { flow, _ in flow.unregistered() }
        case .probe(let besides, let passingOver):
            let probe = try? await queue.probe(besides: besides, passingOver: passingOver)
            perform { flow, now in flow.probed(probe, now: now) }
        case .watch(let passingOver):
            let began = Instant.now
            let watched = try? await queue.watch(passingOver: passingOver)
            perform { flow, now in flow.watched(watched, took: now - began, now: now) }
        case .list(let claim):
            let result: Result<[Candidate], QueueFailure>
            do throws(QueueFailure) {
                result = .success(try await queue.list(claim))
            } catch {
                result = .failure(error)
            }
            perform { flow, now in flow.listed(result, now: now) }
        }
    }

    /// Extends the leases, apart from the pumps: a renewal never waits for a claim.
    func renew() async {
        while let order = await nextRenewal() {
            state.withLock { $0.pulse.renewalBegan(now: .now) }
            do throws(QueueFailure) {
                let renewals = try await queue.renew(order)
                performCancelling { flow, now in flow.renewed(order.fences, renewals, now: now) }
            } catch {
                if error != .cancelled {
                    logger.warning(
                        "renewal failed, retried; the queue claims nothing meanwhile",
                        metadata: ["reason": "\(error.reason)"]
                    )
                }
                perform { flow, now in flow.renewalFailed(now: now) }
            }
            state.withLock { $0.pulse.renewalEnded() }
        }
    }

    private func nextRenewal() async -> RenewalOrder? {
        await withCheckedContinuation { continuation in
            let now = Instant.now
            let due = state.withLock { state in
                state.idleRenewer = continuation
                return state.dispatch(now: now)
            }
            handOut(due)
        }
    }

    // MARK: - Proof of life

    /// Asks the loop to turn; ``pulse`` tells whether it did.
    public func requestTurn() {
        let pump = state.withLock { $0.idlePumps.popLast() }
        pump?.resume(returning: .turn)
    }

    /// When the leases should have been renewed, if that is not under way.
    public var renewalDue: Instant? {
        state.withLock { $0.idleRenewer == nil ? nil : $0.flow.renewAt }
    }

    public var pulse: Pulse {
        state.withLock { $0.pulse }
    }
}
