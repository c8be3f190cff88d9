"""A command that is interrupted, as by Ctrl-C, when it has got so far."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.paths import ROOT

WAIT = 120.0


def interrupted(words: Sequence[str], *states: Path, by: signal.Signals = signal.SIGINT) -> tuple[str, str]:
    """What a command writes to stdout and stderr that is interrupted once all files are there.

    Its whole process group is sent the signal, and it twice where that is SIGTERM, as ``timeout`` does. It must end
    with 128 and the signal's number, also where the second one finds Python ending.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen(words, cwd=ROOT, text=True, process_group=0, **pipes)
    deadline = time.monotonic() + WAIT
    while not all(state.exists() for state in states) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if by == signal.SIGTERM:
        running.send_signal(by)
        time.sleep(0.05)
    os.killpg(running.pid, by)
    out, err = running.communicate(timeout=WAIT)
    assert running.returncode == 128 + by, err
    return out, err


class Interrupted(Exception):
    """Raised by :func:`stop_at`."""


def stop_at(count: int) -> Callable[[int, int], None]:
    """A report of progress that raises where so much is done."""

    def stop(done: int, _: int) -> None:
        if done >= count:
            raise Interrupted

    return stop
