"""A command that is interrupted, as by Ctrl-C, when it has got so far."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.forks import command

WAIT = 120.0


def interrupted(
    words: Sequence[str],
    *states: Path,
    by: signal.Signals = signal.SIGINT,
    prepare: Callable[[], None] = lambda: None,
) -> tuple[str, str]:
    """What a command of npi writes to stdout and stderr that is interrupted once all files are there.

    Its whole process group is sent the signal, and it twice where that is SIGTERM, as ``timeout`` does. It must end
    with 128 and the signal's number, also where the second one finds Python ending, which a Python of its own has to
    show; to be sent Ctrl-C it is forked from this process, so that nothing is imported again.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = command(words, out, err, prepare=prepare, anew=by == signal.SIGTERM)
        deadline, ended = time.monotonic() + WAIT, 0
        while not all(state.exists() for state in states) and not ended and time.monotonic() < deadline:
            time.sleep(0.01)
            ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            if by == signal.SIGTERM:
                os.kill(pid, by)
                time.sleep(0.05)
            os.killpg(pid, by)
            _, status = os.waitpid(pid, 0)
        told = [file.seek(0) or file.read() for file in (out, err)]
    assert os.waitstatus_to_exitcode(status) == 128 + by, told[1]
    return told[0], told[1]


class Interrupted(Exception):
    """Raised by :func:`stop_at`."""


def stop_at(count: int) -> Callable[[int, int], None]:
    """A report of progress that raises where so much is done."""

    def stop(done: int, _: int) -> None:
        if done >= count:
            raise Interrupted

    return stop
