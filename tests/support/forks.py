"""Work in forked processes, which may be killed before one of their file operations."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator

from benchmarks.faults.kills import at_operation


def forked(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> int:
    """The exit status of a process that does the work: 0, 1 after an exception, or minus the signal."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            prepare()
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(work: Callable[[], object], step: int = 1) -> Iterator[int]:
    """Do the work in processes that are killed before a file operation, until one ends: before each ``step``-th."""
    number = 1
    while forked(work, at_operation(number)) == -signal.SIGKILL:
        yield number
        number += step
