"""Programs that the check runs: none outlives it, and what each said is in a file."""

import ctypes
import json
import os
import signal
import subprocess
import time

# Longer than anything takes on a busy machine, unless it is waited for on purpose.
PATIENCE = 60


def wait_for(what, condition, within=PATIENCE):
    """What `condition` returns once that is true; fails with `what` if it takes too long."""
    until = time.monotonic() + within
    while not (result := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.05)
    return result


def die_with_parent():
    """On Linux the kernel sees to it, even if the check is killed."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except AttributeError:
        pass


# Settings of whoever runs this are not meant for the programs that are checked.
SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.startswith("SKALD_")}


class Program:
    """A running program."""

    running = []

    def __init__(self, name, command, folder, **environment):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                env={**SURROUNDINGS, "NO_COLOR": "1", **environment}, preexec_fn=die_with_parent,
            )
        Program.running.append(self)

    def said(self):
        """What it said so far; fails if it ended by itself."""
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}; see {self.log}")
        return self.log.read_text(errors="replace")

    def printed(self):
        """The JSON objects it printed, one a line; a line under way is left out."""
        lines = self.said().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith('{"eventType"')]

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL: no farewell to the broker."""
        self.process.kill()
        self.process.wait()
        Program.running.remove(self)

    def stop(self):
        """SIGTERM, and SIGKILL if that does not help."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        Program.running.remove(self)


def end_all():
    for program in reversed(Program.running):
        program.process.kill()
        program.process.wait()
