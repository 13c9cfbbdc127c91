"""The rows of deploy/bench. Every figure is a ratio of pairs taken in turn, or is printed with the machine it is of."""

import argparse
import contextlib
import glob
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(TOP, ".build", "release")
PGMQD = os.path.join(BIN, "pgmqd")
ROWS = {}
SETTINGS = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
    "shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min",
}


def row(name, goal):
    def keep(function):
        ROWS[name] = (goal, function)
        return function
    return keep


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Bench:
    """A server, a scratch queue and the contenders."""

    def __init__(self, rounds, scale):
        self.rounds = rounds
        self.scale = scale
        self.folder = tempfile.mkdtemp(prefix="pgmqd-bench-")
        os.chmod(self.folder, 0o755)
        self.url = None
        self.queue = "pgmqd_bench_0"

    def start(self):
        log = open(os.path.join(self.folder, "server.log"), "w")
        command = [PGMQD, "dev", "--server-only", "--state", os.path.join(self.folder, "state")]
        self.server = subprocess.Popen(command, stderr=log, stdout=log)
        for _ in range(600):
            text = open(log.name).read()
            found = re.search(r"runs: (\S+)", text)
            if found and "Ctrl-C" in text:
                self.url = found.group(1)
                break
            if self.server.poll() is not None:
                sys.exit(text)
            time.sleep(0.1)
        with self.connect() as db:
            for key, value in SETTINGS.items():
                db.execute(f"alter system set {key} = '{value}'")
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()
        self.server = subprocess.Popen(command, stderr=log, stdout=log)
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                with self.connect() as db:
                    db.execute("select 1 from pgmqd.migration")
                    break
            time.sleep(0.1)
        with self.connect() as db:
            for queue in (self.queue, self.queue + "_dlq"):
                db.execute("select pgmq.create(%s)", (queue,))
            self.bell(db, True)

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()
        subprocess.run(["rm", "-rf", self.folder], check=False)

    def connect(self):
        return psycopg.connect(self.url, autocommit=True)

    def bell(self, db, hung):
        db.execute(f"drop trigger if exists pgmqd_doorbell on pgmq.q_{self.queue}")
        if hung:
            db.execute("select pgmqd.hang_doorbell(%s)", (self.queue,))

    def fill(self, count, parked=0, analyze=True, truncate=True):
        with self.connect() as db:
            if truncate:
                db.execute(f"truncate pgmq.q_{self.queue} restart identity")
            insert = (f"insert into pgmq.q_{self.queue} (vt, message) select clock_timestamp() + %s * interval '1 hour', "
                      "jsonb_build_object('n', n) from generate_series(1, %s) n")
            if parked:
                db.execute(insert, (1, parked))
            if count:
                db.execute(insert, (0, count))
            if analyze:
                db.execute(f"vacuum analyze pgmq.q_{self.queue}")
            db.execute("checkpoint")

    def only(self, what, messages, *more):
        out = subprocess.run(
            [PGMQD, "bench", "--database", self.url, "--only", what, "--queue", self.queue,
             "--messages", str(messages), *map(str, more)],
            check=True, capture_output=True, text=True)
        return json.loads(out.stdout)

    def rate(self, what, messages, *more):
        measured = self.only(what, messages, *more)
        return measured["messages"] / measured["seconds"]

    def pgbench(self, messages, batch, clients=2):
        script = os.path.join(self.folder, "read-delete.sql")
        with open(script, "w") as file:
            file.write(
                f"select coalesce(array_agg(msg_id), '{{}}') as ids from pgmq.read('{self.queue}', 30, {batch}) \\gset\n"
                f"select count(*) from pgmq.delete('{self.queue}', (:ids)::bigint[]);\n")
        turns = max(1, messages // batch // clients)
        out = subprocess.run(
            ["pgbench", "-n", "-M", "extended", "-c", str(clients), "-j", str(clients), "-t", str(turns), "-f", script,
             self.url], check=True, capture_output=True, text=True).stdout
        tps = float(re.search(r"tps = ([0-9.]+)", out).group(1))
        return tps * batch

    def pairs(self, first, second, rounds=None):
        """Runs two measurements in turn; returns the medians and the median of the ratios."""
        a, b = [], []
        for _ in range(rounds or self.rounds):
            a.append(first())
            b.append(second())
        ratio = median([x / y for x, y in zip(a, b)])
        return {"ours": round(median(a), 1), "other": round(median(b), 1), "ratio": round(ratio, 2)}

    def config(self, queues, lines=()):
        path = os.path.join(self.folder, "bench.toml")
        with open(path, "w") as file:
            file.write(f'[database]\nurl = "{self.url}"\n[daemon]\nlog_format = "json"\n')
            for name, workers, handler in queues:
                file.write(f'[[queue]]\nname = "{name}"\nworkers = {workers}\nhandler = {handler}\n')
                file.write("\n".join(lines) + "\n")
        return path

    @contextlib.contextmanager
    def daemon(self, path, program="pgmqd", env=None):
        log = os.path.join(self.folder, "daemon.log")
        with open(log, "w") as out:
            process = subprocess.Popen([os.path.join(BIN, program), "run", "-c", path], stderr=out, stdout=out,
                                       env={**os.environ, **(env or {})})
            try:
                while '"message":"ready"' not in open(log).read():
                    if process.poll() is not None:
                        raise RuntimeError(open(log).read())
                    time.sleep(0.02)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()

    @contextlib.contextmanager
    def snapshot(self):
        """A snapshot held open elsewhere: vacuum may remove nothing."""
        with psycopg.connect(self.url) as held:
            held.execute("set transaction isolation level repeatable read")
            held.execute("select count(*) from pgmq.meta")
            yield


# -- throughput ---------------------------------------------------------------------------------------------------

@row("batch-100", "1.4")
def batch_100(b):
    """No-op handlers, durable, 2 connections, against pgbench with pgmq.read/delete, both at batch 100."""
    n = b.scale(300_000)
    return b.pairs(lambda: (b.fill(n), b.rate("daemon", n, "--daemon-batch", 100))[1],
                   lambda: (b.fill(n), b.pgbench(n, 100))[1])


@row("shipped", "1.15")
def shipped(b):
    """The daemon as shipped, against pgbench at the best of batch 100, 500, 1000."""
    n = b.scale(300_000)
    best = max((100, 500, 1000), key=lambda batch: (b.fill(n), b.pgbench(n, batch))[1])
    result = b.pairs(lambda: (b.fill(n), b.rate("daemon", n))[1], lambda: (b.fill(n), b.pgbench(n, best))[1])
    return {**result, "pgbench_batch": best}


@row("bare", "0.9")
def bare(b):
    """The daemon as shipped, against floored claim and fenced delete in a bare loop on libpq, at the best of batch 100 and 500."""
    n = b.scale(300_000)
    best = max((100, 500), key=lambda batch: (b.fill(n), b.rate("bare", n, "--batch", batch))[1])
    result = b.pairs(lambda: (b.fill(n), b.rate("daemon", n))[1],
                     lambda: (b.fill(n), b.rate("bare", n, "--batch", best))[1])
    return {**result, "bare_batch": best}


@row("own-cpu", "3 us")
def own_cpu(b):
    """The daemon's own CPU a message, as shipped, in microseconds, against that of the bare loop at batch 500: printed."""
    n = b.scale(300_000)
    return b.pairs(lambda: (b.fill(n), b.only("daemon", n)["microsecondsOfOurs"])[1],
                   lambda: (b.fill(n), b.only("bare", n, "--batch", 500)["microsecondsOfOurs"])[1])


@row("snapshot", "0.7")
def snapshot(b):
    """With a snapshot held open elsewhere, after 25 s of work, against itself after the same work without."""
    tail, head = b.scale(400_000), b.scale(2_600_000)

    def late():
        return b.rate("daemon", head + tail, "--skip", head)

    def held():
        b.fill(head + tail)
        with b.snapshot():
            return late()
    return b.pairs(held, lambda: (b.fill(head + tail), late())[1], rounds=min(3, b.rounds))


@row("backlog", "0.8")
def backlog(b):
    """A backlog of 5,000,000 against one of 1,000,000."""
    n = b.scale(400_000)
    return b.pairs(lambda: (b.fill(b.scale(5_000_000)), b.rate("daemon", n))[1],
                   lambda: (b.fill(b.scale(1_000_000)), b.rate("daemon", n))[1], rounds=min(3, b.rounds))


@row("backlog-pgbench", "2.0")
def backlog_pgbench(b):
    """A backlog of 5,000,000: the daemon against pgbench at batch 100, over the first 2,000,000 of it."""
    n = b.scale(2_000_000)
    return b.pairs(lambda: (b.fill(b.scale(5_000_000)), b.rate("daemon", n))[1],
                   lambda: (b.fill(b.scale(5_000_000)), b.pgbench(n, 100))[1], rounds=min(3, b.rounds))


@row("parked", "0.9")
def parked(b):
    """100,000 messages parked for an hour in front of the visible ones, against none."""
    n = b.scale(300_000)
    return b.pairs(lambda: (b.fill(n, parked=100_000), b.rate("daemon", n))[1],
                   lambda: (b.fill(n), b.rate("daemon", n))[1])


@row("parked-empty", "0.9")
def parked_empty(b):
    """An empty claim with 1,000,000 parked against none."""
    return b.pairs(lambda: (b.fill(0, parked=b.scale(1_000_000)), b.rate("empty", 500))[1],
                   lambda: (b.fill(0), b.rate("empty", 500))[1])


@row("flood", "0.9")
def flood(b):
    """Started on an empty queue, empty claims, then 1,000,000 at once without analyze, against a start on the full queue."""
    n = b.scale(1_000_000)

    def flooded():
        b.fill(0)
        result = {}
        thread = threading.Thread(target=lambda: result.update(rate=b.rate("daemon", n, "--skip", 1)))
        thread.start()
        time.sleep(1.5)
        b.fill(n, analyze=False, truncate=False)
        thread.join()
        return result["rate"]
    return b.pairs(flooded, lambda: (b.fill(n), b.rate("daemon", n, "--skip", 1))[1], rounds=min(3, b.rounds))


@contextlib.contextmanager
def partitioned(b, n, count=22):
    """The scratch queue is one of so many partitions, which share n messages."""
    plain, b.queue = b.queue, b.queue + "_parts"
    table, size = f"pgmq.q_{b.queue}", n // count + 1
    try:
        with b.connect() as db:
            if not db.execute("select to_regclass(%s)", (table,)).fetchone()[0]:
                db.execute("select pgmq.create(%s)", (b.queue + "_dlq",))
                db.execute(f"create table {table} (like pgmq.q_{plain} including defaults including identity) "
                           "partition by range (msg_id)")
                for part in range(count):
                    db.execute(f"create table {table}_p{part} partition of {table} "
                               f"for values from ({part * size}) to ({(part + 1) * size})")
                db.execute(f"create table {table}_default partition of {table} default")
                db.execute(f"create index on {table} (msg_id)")
                db.execute(f"create index on {table} (vt)")
                db.execute("insert into pgmq.meta values (%s, true, false)", (b.queue,))
                b.bell(db, True)
        yield
    finally:
        b.queue = plain


@row("partitions", "0.8")
def partitions(b):
    """A queue of 22 partitions against one of none."""
    n = b.scale(300_000)

    def divided():
        with partitioned(b, n):
            b.fill(n)
            return b.rate("daemon", n)
    return b.pairs(divided, lambda: (b.fill(n), b.rate("daemon", n))[1])


@row("four", "0.9")
def four(b):
    """Four daemons of one work connection each, against one with four; all done once."""
    n = b.scale(400_000)

    def many():
        b.fill(n)
        with b.connect() as db:
            began = time.monotonic()
            daemons = [subprocess.Popen(
                [PGMQD, "bench", "--database", b.url, "--only", "daemon", "--queue", b.queue, "--messages", str(n),
                 "--connections", "1"], stdout=subprocess.DEVNULL) for _ in range(4)]
            try:
                while db.execute(f"select exists (select from pgmq.q_{b.queue})").fetchone()[0]:
                    time.sleep(0.01)
                return n / (time.monotonic() - began)
            finally:
                for daemon in daemons:
                    daemon.kill()
                    daemon.wait()

    def one():
        b.fill(n)
        return b.rate("daemon", n, "--connections", 4)
    return b.pairs(many, one)


def wal_bytes(b, n, work):
    b.fill(n)
    with b.connect() as db:
        before = db.execute("select pg_current_wal_lsn()").fetchone()[0]
        work()
        return float(db.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", (before,)).fetchone()[0]) / n


@row("wal", "<= 1")
def wal(b):
    """WAL bytes a message, against pgmq.read/pgmq.delete, both at batch 100."""
    # In batches of one size: the more rows of a page change in one transaction, the fewer of their new versions find
    # room in it, and an update that leaves its page writes more.
    n = b.scale(200_000)
    return b.pairs(lambda: wal_bytes(b, n, lambda: b.rate("daemon", n, "--daemon-batch", 100)),
                   lambda: wal_bytes(b, n, lambda: b.pgbench(n, 100)))


@row("wal-shipped", "<= 1")
def wal_shipped(b):
    """WAL bytes a message of the daemon as shipped, against pgmq.read/pgmq.delete at batch 500, the largest it chooses."""
    n = b.scale(200_000)
    return b.pairs(lambda: wal_bytes(b, n, lambda: b.rate("daemon", n)),
                   lambda: wal_bytes(b, n, lambda: b.pgbench(n, 500)))


# -- latency ------------------------------------------------------------------------------------------------------

def ledger_starts(path):
    starts = {}
    for line in open(path):
        parts = line.split()
        if len(parts) == 8 and parts[0] == "start":
            starts.setdefault(int(parts[2]), int(parts[6]))
    return starts


def latencies(b, producers, seconds, send):
    """Commit to handler start, in ms, with `send(connection)` returning an id just committed."""
    ledger = os.path.join(b.folder, "ledger")
    open(ledger, "w").close()
    b.fill(0)
    commits, lock, stop = {}, threading.Lock(), time.monotonic() + seconds
    path = b.config([(b.queue, 8, '{ swift = "ledger" }')])
    with b.daemon(path, "LedgerDaemon", {"PGMQD_LEDGER": ledger}):
        def produce(number):
            with psycopg.connect(b.url) as db:
                next_at = time.monotonic()
                while time.monotonic() < stop:
                    pause = send(db, number)
                    identity, at = pause
                    with lock:
                        commits[identity] = at
                    next_at += producers["every"]
                    time.sleep(max(0, next_at - time.monotonic()))
        threads = [threading.Thread(target=produce, args=(i,)) for i in range(producers["count"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end = time.monotonic() + 20
        while len(ledger_starts(ledger)) < len(commits) and time.monotonic() < end:
            time.sleep(0.1)
    starts = ledger_starts(ledger)
    waits = [max(0, starts[i] - at) / 1e6 for i, at in commits.items() if i in starts]
    return {"messages": len(commits), "begun": len(waits), "p50_ms": round(median(waits), 2),
            "p99_ms": round(percentile(waits, 0.99), 2), "max_ms": round(max(waits), 2)}


def send_once(hold):
    def send(db, _):
        identity = db.execute("select * from pgmq.send(%s, '{}'::jsonb)", ("pgmqd_bench_0",)).fetchone()[0]
        if hold:
            time.sleep(hold)
        db.commit()
        return identity, time.monotonic_ns()
    return send


@row("late-commits", "p99 <= 150 ms")
def late_commits(b):
    """Producers whose transactions last 100 ms, 500 messages a second: commit to handler start, without and with a held snapshot."""
    producers = {"count": 60, "every": 0.12}
    free = latencies(b, producers, 10, send_once(0.1))
    with b.snapshot():
        held = latencies(b, producers, 10, send_once(0.1))
    return {"free": free, "held": held}


@row("singly", "p99 <= 10 ms")
def singly(b):
    """1,000 messages a second arriving singly: commit to handler start."""
    return latencies(b, {"count": 4, "every": 0.004}, 10, send_once(0))


@row("wake", "p50 <= 1.3, p99 <= 2")
def wake(b):
    """From before a send to the handler's start, idle queue, 300 sends, against a bare loop of LISTEN and claim."""
    sends = b.scale(300)
    b.fill(0)
    ours, other = b.only("wake", sends), b.only("bare-wake", sends)
    b.fill(0)
    return {"ours": ours, "bare": other,
            "p50_ratio": round(ours["p50Milliseconds"] / other["p50Milliseconds"], 2),
            "p99_ratio": round(ours["p99Milliseconds"] / other["p99Milliseconds"], 2)}


def with_bells(db, names):
    for name in names:
        for queue in (name, name + "_dlq"):
            db.execute("select pgmq.create(%s)", (queue,))
        db.execute("select pgmqd.hang_doorbell(%s)", (name,))


@row("sleeps", "0.9")
def sleeps(b):
    """12,000 sleeps and wakes, of 16 queues, under a held snapshot: commit to handler start, the first tenth against the last."""
    turns = max(20, b.scale(12_000) // 16)
    names = [f"pgmqd_bench_sleep{i}" for i in range(16)]
    ledger = os.path.join(b.folder, "ledger")
    open(ledger, "w").close()
    sent = []
    with b.connect() as db:
        with_bells(db, names)
        path = b.config([(name, 2, '{ swift = "ledger" }') for name in names])
        with b.daemon(path, "LedgerDaemon", {"PGMQD_LEDGER": ledger}), b.snapshot():
            everywhere = "select " + ", ".join(f"pgmq.send('{name}', '{{}}'::jsonb)" for name in names)
            for _ in range(turns):
                # Dozing lasts 50 ms, the looks after falling asleep begin at 25.
                time.sleep(0.12)
                sent.append(time.monotonic_ns())
                db.execute(everywhere)
            time.sleep(1)
    waits = [[] for _ in range(turns)]
    for line in open(ledger):
        parts = line.split()
        if parts[0] == "start":
            turn = int(parts[2]) - 1
            waits[turn].append((int(parts[6]) - sent[turn]) / 1e6)
    tenth = turns // 10
    first, last = sum(waits[:tenth], []), sum(waits[-tenth:], [])
    return {"sleeps": sum(map(len, waits)), "first_ms": round(median(first), 2), "last_ms": round(median(last), 2),
            "first_p99_ms": round(percentile(first, 0.99), 2), "last_p99_ms": round(percentile(last, 0.99), 2),
            "ratio": round(median(first) / median(last), 2)}


# -- producers ----------------------------------------------------------------------------------------------------

@row("producers", "0.95")
def producers(b):
    """Single sends by 8 clients with our trigger against none, consumers busy; with consumers idle: printed."""
    script = os.path.join(b.folder, "send.sql")
    with open(script, "w") as file:
        file.write(f"select pgmq.send('{b.queue}', '{{}}'::jsonb);\n")

    def sends():
        out = subprocess.run(["pgbench", "-n", "-c", "8", "-j", "2", "-T", "3", "-f", script, b.url], check=True,
                             capture_output=True, text=True).stdout
        return float(re.search(r"tps = ([0-9.]+)", out).group(1))

    def with_bell(hung):
        b.fill(0)
        with b.connect() as db:
            b.bell(db, hung)
        return sends()
    path = b.config([(b.queue, 8, "{ discard = true }")])
    with b.daemon(path):
        # Eight clients, their backends and the daemon share the cores: a pair by itself says little.
        busy = b.pairs(lambda: with_bell(True), lambda: with_bell(False), rounds=4 * b.rounds)
    idle = b.pairs(lambda: with_bell(True), lambda: with_bell(False))
    with b.connect() as db:
        b.bell(db, True)
    return {**busy, "nobody_listens": idle}


# -- costs --------------------------------------------------------------------------------------------------------

def stat(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    memory = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), memory / 1024


@row("idle", "0.5/s, 0.2 %, 40 MB")
def idle(b):
    """Idle, 16 queues of 16 workers: transactions a second in all, CPU, resident memory."""
    names = [f"pgmqd_bench_idle{i}" for i in range(16)]
    with b.connect() as db:
        with_bells(db, names)
        with b.daemon(b.config([(name, 16, "{ discard = true }") for name in names])) as process:
            time.sleep(20)
            # What a backend counts reaches the statistics when it next has something to do.
            count = "select sum(calls) from pg_stat_statements" if has_statements(db) else None
            query = count or "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
            before, (cpu, _) = db.execute(query).fetchone()[0], stat(process.pid)
            time.sleep(60)
            after, (cpu2, memory) = db.execute(query).fetchone()[0], stat(process.pid)
    return {"transactions_a_second": round(float(after - before - 1) / 60, 2),
            "cpu_percent": round((cpu2 - cpu) / 60 * 100, 2), "memory_mb": round(memory, 1)}


def has_statements(db):
    return db.execute("select count(*) from pg_extension where extname = 'pg_stat_statements'").fetchone()[0] == 1


@row("many-workers", "100 MB")
def many_workers(b):
    """10,000 idle workers on one queue: resident memory."""
    b.fill(0)
    with b.daemon(b.config([(b.queue, 10_000, "{ discard = true }")])) as process:
        time.sleep(3)
        return {"memory_mb": round(stat(process.pid)[1], 1)}


@row("command", "0.8")
def command(b):
    """`command` handlers running /bin/true, 8 workers, against xargs -P 8 -n 1 /bin/true."""
    n = b.scale(6_000)

    def ours():
        b.fill(n)
        with b.connect() as db, b.daemon(b.config([(b.queue, 8, '{ command = ["/bin/true"] }')])):
            began = time.monotonic()
            left = db.execute(f"select count(*) from pgmq.q_{b.queue}").fetchone()[0]
            while db.execute(f"select exists (select from pgmq.q_{b.queue})").fetchone()[0]:
                time.sleep(0.01)
            return left / (time.monotonic() - began)

    def xargs():
        began = time.monotonic()
        subprocess.run(["xargs", "-P", "8", "-n", "1", "/bin/true"], input="\n".join(map(str, range(n))), text=True,
                       check=True)
        return n / (time.monotonic() - began)
    return b.pairs(ours, xargs)


@row("start", "100 ms")
def start(b):
    """From exec to READY=1, warm: the median of 9."""
    path = b.config([(b.queue, 8, "{ discard = true }")])
    times = []
    for _ in range(10):
        address = os.path.join(b.folder, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(20)
            began = time.monotonic()
            process = subprocess.Popen([PGMQD, "run", "-c", path], stderr=subprocess.DEVNULL,
                                       env={**os.environ, "NOTIFY_SOCKET": address})
            while b"READY=1" not in manager.recv(4096):
                pass
            times.append((time.monotonic() - began) * 1000)
            process.send_signal(signal.SIGTERM)
            process.wait()
    return {"ms": round(median(times[1:]), 1)}


def main():
    parser = argparse.ArgumentParser(prog="deploy/bench")
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, one round: to see that it runs")
    options = parser.parse_args()
    if options.list:
        for name, (goal, function) in ROWS.items():
            print(f"{name:18} {goal:24} {function.__doc__}")
        return
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; --list names them")
    scale = (lambda n: max(300, n // 10)) if options.quick else (lambda n: n)
    # The server and its folder go along with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(1 if options.quick else options.rounds, scale)
    results = {}
    try:
        bench.start()
        model = next(iter(re.findall(r"model name\s*: (.*)", open("/proc/cpuinfo").read())), platform.machine())
        print(f"{os.cpu_count()} cores, {model}; " + ", ".join(f"{k} = {v}" for k, v in SETTINGS.items()), flush=True)
        for name, (goal, function) in ROWS.items():
            if options.rows and name not in options.rows:
                continue
            try:
                results[name] = function(bench)
            except (subprocess.CalledProcessError, RuntimeError) as error:
                results[name] = {"error": f"{error} {getattr(error, 'stderr', '')}"}
            print(f"{name:18} goal {goal:22} {json.dumps(results[name])}", flush=True)
    finally:
        if bench.url:
            bench.stop()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
