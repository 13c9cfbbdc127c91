"""Conducts the demo: a PostgreSQL of its own, messages, daemons that come and go, and the account at the end."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from ledger import Ledger
from processes import Fail, Program
from reconcile import Reconciliation

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE = "documents"
BATCH = 100
# After this long without any progress something is wrong.
PATIENCE = 90


def state_folder():
    """As root not below /root: PostgreSQL runs as the user postgres then, who cannot go there."""
    if os.getuid() == 0:
        return "/var/lib/pgmqd-demo"
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "pgmqd-demo")


class Screen:
    """One line that changes, on a terminal; elsewhere plain lines, fewer of them."""

    def __init__(self):
        self.is_terminal = sys.stdout.isatty()
        self.last = 0.0
        self.text = ""

    def say(self, text=""):
        if self.is_terminal and self.text:
            sys.stdout.write("\r\033[K")
            self.text = ""
        print(text, flush=True)

    def progress(self, text):
        now = time.monotonic()
        if text == self.text or now - self.last < (0.2 if self.is_terminal else 2):
            return
        self.last = now
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r\033[K" + text[:width])
            sys.stdout.flush()
        else:
            print(text, flush=True)
        self.text = text


class Demo:
    def __init__(self, pgmqd):
        self.pgmqd = pgmqd
        self.folder = state_folder()
        self.config = os.path.join(HERE, "pgmqd.toml")
        self.screen = Screen()
        self.server = None
        self.daemons = {}
        self.killed = None
        self.environment = {
            "DEMO_FOLDER": HERE,
            "DEMO_LEDGER": self.path("ledger.jsonl"),
            "DEMO_DAEMON": "-",
            "PGMQD_DEV_URL": "",
        }

    def path(self, name):
        return os.path.join(self.folder, name)

    # The stages

    def run(self):
        self.prepare_folder()
        self.start_server()
        sent = self.send()
        for name in "AB":
            self.start_daemon(name)
        ledger = Ledger(self.environment["DEMO_LEDGER"])
        self.work(sent, ledger)
        self.stop_daemons()
        return self.account(sent, ledger)

    def prepare_folder(self):
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        self.lock = open(self.path("lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fail(f"another demo runs in {self.folder}") from None
        for name in os.listdir(self.folder):
            if name.endswith((".log", ".jsonl")):
                os.remove(self.path(name))
        open(self.environment["DEMO_LEDGER"], "w").close()

    def start_server(self):
        self.server = Program(
            [self.pgmqd, "dev", "--server-only", "--reset", "--state", self.path("postgres"), "-c", self.config],
            self.path("postgres.log"),
            self.environment,
        )
        self.server.wait_for("Ctrl-C ends it")
        marker = "PostgreSQL with PGMQ runs: "
        line = next(line for line in self.server.output().splitlines() if line.startswith(marker))
        self.environment["PGMQD_DEV_URL"] = line.removeprefix(marker)
        self.screen.say(f"PostgreSQL with PGMQ runs in {self.path('postgres')}")

    def messages(self):
        """The documents, with the ones that mean trouble spread among them."""
        found = subprocess.run(
            ["find", "/usr/share/doc", "-name", "copyright", "-xtype", "f"], capture_output=True, text=True, check=True
        )
        paths = sorted(found.stdout.splitlines())
        if not paths:
            raise Fail("there is no file named copyright below /usr/share/doc on this machine")
        messages = [{"path": path} for path in paths]
        step = max(1, len(paths) // 8)
        special = [("hangs", paths[0]), ("crashes", paths[-1]), ("fails twice", paths[len(paths) // 2])]
        special += [("is not there", f"/usr/share/doc/no-such-package-{number}/copyright") for number in (1, 2, 3)]
        for index, (trouble, path) in enumerate(special):
            messages.insert(index * step, {"path": path, "trouble": trouble})
        return messages

    def send(self):
        messages = self.messages()
        with open(self.path("messages.jsonl"), "w", encoding="utf-8") as file:
            for message in messages:
                file.write(json.dumps(message) + "\n")
        ids = self.command("send", QUEUE, "--file", self.path("messages.jsonl"), "--batch", str(BATCH)).split()
        if len(ids) != len(messages):
            raise Fail(f"{len(messages)} messages were to be sent, and {len(ids)} ids came back")
        batches = -(-len(ids) // BATCH)
        self.screen.say(f"{len(ids)} messages sent in {batches} batches, one for every copyright file on this machine,")
        self.screen.say("among them 3 files that do not exist, one that fails twice, one that hangs, one that crashes")
        return {int(i): message for i, message in zip(ids, messages)}

    def start_daemon(self, name):
        daemon = Program(
            [self.pgmqd, "run", "-c", self.config],
            self.path(f"daemon-{name}.log"),
            {**self.environment, "DEMO_DAEMON": name},
        )
        self.daemons[name] = daemon
        daemon.wait_for("ready")
        self.screen.say(f"daemon {name} runs (pid {daemon.pid}, 4 workers)")

    def work(self, sent, ledger):
        """Until the queue is empty; half-way the one daemon is killed, and the third joins."""
        last, since = None, time.monotonic()
        while True:
            done = ledger.read().done()
            if not self.killed and len(done) * 2 >= len(sent):
                self.kill_one(ledger)
            queues = {queue["queue"]: queue["total"] for queue in json.loads(self.command("queues", "--json"))}
            left, dead = queues[QUEUE], queues[QUEUE + "_dlq"]
            running = [name for name, daemon in self.daemons.items() if daemon.is_running]
            retried = sum(1 for run in ledger.runs.values() if run.attempt > 1)
            if left == 0 and self.killed:
                ledger.read()
                return
            self.screen.progress(
                f"done {len(done)} of {len(sent)}, in the queue {left}, retried {retried}, dead-lettered {dead}, "
                f"daemons {' '.join(running)}"
            )
            for name, daemon in self.daemons.items():
                if name != self.killed and not daemon.is_running:
                    raise Fail(f"daemon {name} ended by itself; see {daemon.log}")
            state = (len(ledger.runs), left, dead)
            if state != last:
                last, since = state, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise Fail(f"nothing has happened for {PATIENCE} seconds; see {self.folder}/daemon-*.log")
            time.sleep(0.2)

    def kill_one(self, ledger):
        end = time.monotonic() + 10
        while not ledger.read().unfinished("B") and time.monotonic() < end:
            time.sleep(0.002)
        self.killed = "B"
        self.daemons["B"].kill()
        # Its handlers are killed with it, by the kernel.
        held = len(ledger.read().unfinished("B"))
        self.screen.say(f"daemon B killed with -9, {held} of its handlers in the middle of a document")
        self.start_daemon("C")

    def stop_daemons(self):
        for name, daemon in self.daemons.items():
            status = daemon.stop()
            if name != self.killed and status != 0:
                raise Fail(f"daemon {name} was asked to stop and ended with {status}; see {daemon.log}")

    def account(self, sent, ledger):
        limit = str(len(sent) + 1000)
        letters = json.loads(self.command("dlq", "list", QUEUE, "--json", "--limit", limit))
        waiting = {message["id"] for message in json.loads(self.command("peek", QUEUE, "--json", "--limit", limit))}
        lines, adds_up = Reconciliation(sent, ledger.read(), letters, waiting, self.killed).report()
        self.screen.say()
        for line in lines:
            self.screen.say(line)
        return adds_up

    # What they use

    def command(self, *arguments):
        result = subprocess.run(
            [self.pgmqd, *arguments, "--database", self.environment["PGMQD_DEV_URL"]],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if result.returncode != 0:
            raise Fail(f"pgmqd {' '.join(arguments)} ended with {result.returncode}:\n{result.stderr}")
        return result.stdout

    def end(self):
        """Everything ends with the demo; what it wrote stays."""
        for daemon in self.daemons.values():
            daemon.stop(10)
        if self.server:
            self.server.stop()

    def where_to_look(self):
        places = [
            (self.path("ledger.jsonl"), "what the handlers wrote"),
            (self.path("daemon-A.log"), "what a daemon said; also daemon-B.log and daemon-C.log"),
            ("deploy/demo.d/pgmqd.toml", "the configuration, and beside it the handler: begin your own with them"),
        ]
        shown = os.path.relpath(self.pgmqd)
        width = max(len(path) for path, _ in places)
        self.screen.say("\nWhere to look next:")
        for path, what in places:
            self.screen.say(f"  {path:<{width}}  {what}")
        self.screen.say(f"  {shown} dev --server-only --state {self.path('postgres')}")
        self.screen.say("  brings the database back; then, in another terminal:")
        for command in ("queues", f"dlq list {QUEUE}", f"dlq show {QUEUE} 1", "--help"):
            self.screen.say(f"  {shown} {command}")


def main():
    def interrupted(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    demo = Demo(os.path.abspath(sys.argv[1]))
    status = 1
    try:
        status = 0 if demo.run() else 1
    except Fail as failure:
        demo.screen.say(f"deploy/demo: {failure}")
    except KeyboardInterrupt:
        demo.screen.say("interrupted; ending the daemons and the server")
        status = 130
    finally:
        # A second Ctrl-C shall not leave anything behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        demo.end()
    if status == 0:
        demo.where_to_look()
    sys.exit(status)


main()
