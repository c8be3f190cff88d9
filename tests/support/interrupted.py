"""A command that is interrupted as by Ctrl-C when it has got so far."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.paths import ROOT

WAIT = 120.0


def interrupted(words: Sequence[str], *states: Path) -> tuple[str, str]:
    """What a command writes to stdout and stderr that is interrupted once all files are there; it must end with 130."""
    running = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + WAIT
    while not all(state.exists() for state in states) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=WAIT)
    assert running.returncode == 130, err
    return out, err


class Interrupted(Exception):
    """Raised by :func:`stop_at`."""


def stop_at(count: int) -> Callable[[int, int], None]:
    """A report of progress that raises where so much is done."""

    def stop(done: int, _: int) -> None:
        if done >= count:
            raise Interrupted

    return stop
