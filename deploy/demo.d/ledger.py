"""The demo's ledger: what the handlers wrote, a line of JSON each. It is not in the database it is to judge."""
import json


class Run:
    """One delivery of a message to a handler."""

    def __init__(self, start):
        self.msg_id = start["msg_id"]
        self.attempt = start["attempt"]
        self.read_count = start["read_count"]
        self.daemon = start["daemon"]
        # Some leave no second line, on purpose.
        self.ends_silently = start.get("trouble") in ("hangs", "crashes")
        self.has_failed = False
        self.done = None


class Ledger:
    """Reads on from where it stopped at each call of read()."""

    def __init__(self, path):
        self.path = path
        self.runs = {}
        self._position = 0

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            file.seek(self._position)
            while (line := file.readline()).endswith("\n"):
                self._position = file.tell()
                self._take(json.loads(line))
        return self

    def _take(self, line):
        key = (line["msg_id"], line["read_count"])
        if line["event"] == "start":
            self.runs[key] = Run(line)
        elif line["event"] == "done":
            self.runs[key].done = line
        else:
            self.runs[key].has_failed = True

    def done(self):
        """The runs that ended well, by message."""
        done = {}
        for run in self.runs.values():
            if run.done:
                done.setdefault(run.msg_id, []).append(run)
        return done

    def unfinished(self, daemon):
        """Runs of a daemon that have begun and not ended."""
        telling = (run for run in self.runs.values() if run.daemon == daemon and not run.ends_silently)
        return [run for run in telling if not run.done and not run.has_failed]
