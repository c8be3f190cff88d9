"""Processes of ``npi train --seeds`` that are forked, in place of those that take seconds to import the engine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence

from npi.jobs import sweep


class Forked:
    """A process of ``npi train --seeds`` that is forked from this one, with what the sweep uses of a ``Popen``.

    Args:
        others: those forked before; their pipes are closed here, so that they see the end of the process that has them.
    """

    def __init__(self, others: Sequence[Forked]) -> None:
        (inner_in, outer_in), (outer_out, inner_out) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(outer_in, "w"), os.fdopen(outer_out)
        self.status: int | None = None
        self.waiting = threading.Lock()
        self.pid = os.fork()
        if self.pid:
            os.close(inner_in)
            os.close(inner_out)
            return
        status = 70
        try:
            os.setpgid(0, 0)
            for other in (*others, self):
                other.stdin.close()
                other.stdout.close()
            os.dup2(inner_in, 0)
            os.dup2(inner_out, 1)
            os.close(inner_in)
            os.close(inner_out)
            sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
            sweep.train_seed()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def kill(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        with self.waiting:
            if self.status is None:
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


def forks(count: int) -> list[Forked]:
    """So many processes, each waiting for its settings."""
    ready: list[Forked] = []
    for _ in range(count):
        ready.append(Forked(ready))
    return ready


def in_forks() -> None:
    """Let two processes of ``npi train --seeds`` be forked now, which takes no seconds of importing the engine."""
    sweep._start = forks(2).pop  # type: ignore[assignment]
