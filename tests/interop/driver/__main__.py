"""Stock clients of other languages against Skald on RabbitMQ and PostgreSQL. Exit code 0 only if all is well."""

import atexit
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from checks import Checks
from clients import HERE, Clients
from processes import end_all
from services import Services
from skald import Skald

# All of it takes two minutes; a machine that needs four times that is stuck.
AT_MOST = 480


def stop(number, _):
    raise SystemExit(f"not finished after {AT_MOST} s" if number == signal.SIGALRM else 128 + number)


def main():
    root = HERE.parent.parent
    (binary,) = sys.argv[1:] or [root / "target" / "debug" / "skald"]
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)
    signal.alarm(AT_MOST)
    atexit.register(end_all)
    (root / "target" / "interop").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=root / "target" / "interop"))
    began = time.monotonic()
    with Services() as services:
        try:
            checks = Checks(Skald(Path(binary).resolve(), folder, services), Clients(folder, services))
            for check in Checks.ALL:
                print(f"ok: {check(checks)}", flush=True)
        except AssertionError as failure:
            sys.exit(f"failed: {failure}\nwhat the programs said is in {folder}")
        finally:
            end_all()
    shutil.rmtree(folder)
    print(f"all is well, after {time.monotonic() - began:.0f} s")


main()
