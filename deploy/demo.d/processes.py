"""The programs that the demo starts: each ends with the demo, however that ends."""
import os
import subprocess
import time


class Fail(Exception):
    """The demo cannot go on; the text says why and where to look."""


class Program:
    def __init__(self, arguments, log, environment=None):
        self.log = log
        with open(log, "ab") as output:
            # A session of its own, so that Ctrl-C reaches the demo alone, which stops things in their order. Should
            # the demo be killed instead, the kernel tells the program.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--"] + arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process.poll() is None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for(self, text, seconds=120):
        """Waits until the program has written the text."""
        end = time.monotonic() + seconds
        while text not in self.output():
            if not self.is_running or time.monotonic() > end:
                raise Fail(f"{self.process.args[4]} did not get as far as '{text}':\n{self.output()[-2000:]}")
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        """SIGTERM; then SIGKILL, if it must be."""
        if self.is_running:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode
