"""Accounts for every message that the demo sent: from what was sent, the ledger and the dead-letter queue alone."""
import hashlib
from collections import Counter

# Message's trouble -> (what must become of it, runs it must have had, what the reason must say)
FATES = {
    None: ("done", None, None),
    "fails twice": ("done", 3, None),
    "is not there": ("dead", 1, "status 65"),
    "hangs": ("dead", 3, "timed out"),
    "crashes": ("dead", 3, "SIGSEGV"),
}


class Reconciliation:
    """sent: id -> message; letters: what `pgmqd dlq list --json` prints; waiting: ids still in the queue."""

    def __init__(self, sent, ledger, letters, waiting, killed):
        self.sent = sent
        self.killed = killed
        self.runs = list(ledger.runs.values())
        self.done = ledger.done()
        self.letters = {}
        self.problems = []
        self.waiting = waiting
        for letter in letters:
            if letter.get("record") is None:
                self.problem(f"dead letter {letter['id']} does not say where it comes from")
            elif letter["record"]["msg_id"] in self.letters:
                self.problem(f"message {letter['record']['msg_id']} was dead-lettered twice")
            else:
                self.letters[letter["record"]["msg_id"]] = letter["record"]
        self.lost = [i for i in sent if i not in self.done and i not in self.letters and i not in waiting]
        self.twice = {i: runs for i, runs in self.done.items() if len(runs) > 1}
        by_message = {}
        for run in sorted(self.runs, key=lambda run: run.read_count):
            by_message.setdefault(run.msg_id, []).append(run)
        # A delivery too many: one before it spent no attempt, so it had no outcome.
        self.redelivered = {i for i, runs in by_message.items() if runs[-1].read_count > runs[-1].attempt}
        # The same attempt was begun again.
        self.cut_short = [a for runs in by_message.values() for a, b in zip(runs, runs[1:]) if a.attempt == b.attempt]
        # A later attempt, counted once.
        self.retried = {(run.msg_id, run.attempt): run for run in self.runs if run.attempt > 1 and run.msg_id in sent}
        self.retried = list(self.retried.values())
        self.judge()

    def problem(self, text):
        self.problems.append(text)

    def judge(self):
        for i in sorted((set(self.done) | set(self.letters)) - set(self.sent)):
            self.problem(f"message {i} was never sent")
        for i in sorted(set(self.done) & set(self.letters)):
            self.problem(f"message {i} is both done and dead-lettered")
        for i in sorted(self.waiting & set(self.sent)):
            self.problem(f"message {i} still waits in the queue")
        for i, runs in sorted(self.twice.items()):
            if not any(run.daemon == self.killed for run in runs):
                self.problem(f"message {i} was done {len(runs)} times, and no daemon was killed on it")
        for run in self.cut_short:
            if run.daemon != self.killed:
                self.problem(f"message {run.msg_id} was taken from daemon {run.daemon}, which nobody killed")
        for i, message in sorted(self.sent.items()):
            self.judge_one(i, message)
        for i in self.lost:
            self.problem(f"message {i} is lost: {self.sent[i]['path']}")

    def judge_one(self, i, message):
        fate, runs, words = FATES[message.get("trouble")]
        path = message["path"]
        if fate == "done" and i in self.letters:
            return self.problem(f"message {i} ({path}) was dead-lettered: {self.letters[i]['reason']}")
        if fate == "dead" and i in self.done:
            return self.problem(f"message {i} ({path}) was done, and cannot have been")
        if i in self.done:
            attempt = max(run.attempt for run in self.done[i])
            if attempt != (runs or 1):
                self.problem(f"message {i} ({path}) was done at attempt {attempt}")
            for run in self.done[i]:
                self.judge_record(run.done)
        if i in self.letters:
            letter = self.letters[i]
            if words not in letter["reason"]:
                self.problem(f"message {i} was dead-lettered for another reason: {letter['reason']}")
            if len(letter["attempts"]) != runs:
                self.problem(f"message {i} was dead-lettered after {len(letter['attempts'])} attempts")

    def judge_record(self, done):
        with open(done["path"], "rb") as file:
            content = file.read()
        if (hashlib.sha256(content).hexdigest(), len(content)) != (done["sha256"], done["size"]):
            self.problem(f"message {done['msg_id']}: the ledger's SHA-256 is not that of {done['path']}")

    def report(self):
        """The lines of the account, and whether it adds up."""
        types = Counter(runs[0].done["media_type"] for runs in self.done.values())
        size = sum(runs[0].done["size"] for runs in self.done.values())
        begun = len(self.cut_short)
        row = "  {:<15}{:>5}   {}".format
        lines = [
            row("sent", len(self.sent), ""),
            row("done", len(self.done), f"{size / 1e6:.1f} MB read and compared once more: {self.counted(types)}"),
            row("retried", len(self.retried), f"runs after a failed one: {self.counted(self.retries())}"),
            row("redelivered", len(self.redelivered), f"held by daemon {self.killed} at its end, {begun} of them begun"),
            row("done twice", len(self.twice), "complete, but killed before that was settled"),
            row("dead-lettered", len(self.letters), "each with its reason:"),
        ]
        lines += [row("", "", self.told(i, letter)) for i, letter in sorted(self.letters.items())]
        if self.waiting:
            lines.append(row("still waiting", len(self.waiting), ""))
        lines += [row("lost", len(self.lost), ""), ""]
        lines += [f"  WRONG: {text}" for text in self.problems[:20]]
        total = len(self.done) + len(self.letters)
        verdict = "It adds up" if not self.problems else f"It does NOT add up ({len(self.problems)} problems)"
        lines.append(
            f"{verdict}: {len(self.done)} done + {len(self.letters)} dead-lettered = {total}, of {len(self.sent)} sent."
        )
        return [line.rstrip() for line in lines], not self.problems

    def retries(self):
        return Counter(f"of the one that {self.sent[run.msg_id].get('trouble', 'should not')}" for run in self.retried)

    def told(self, i, letter):
        count = len(letter["attempts"])
        reason = " ".join(letter["reason"].split())
        trouble = self.sent.get(i, {}).get("trouble", "?")
        return f"message {i} ({trouble}), {count} attempt{'s' if count > 1 else ''}: {reason}"[:130]

    @staticmethod
    def counted(counter):
        return ", ".join(f"{count} {name}" for name, count in counter.most_common(4))
