"""Work in forked processes, which may be killed before one of their file operations; commands in them."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NoReturn

from benchmarks.faults.kills import at_operation
from npi.cli.main import main


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


def command(
    words: Sequence[str],
    out: IO[str],
    err: IO[str],
    *,
    prepare: Callable[[], object] = lambda: None,
    anew: bool = False,
) -> int:
    """Start a command of npi in a process group of its own that writes to two files; its process id.

    Args:
        prepare: called in the new process first. anew: whether that becomes a Python of its own, which imports all.
    """
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        _be(words, (out.fileno(), err.fileno()), prepare, anew)
    return pid


def _be(words: Sequence[str], files: tuple[int, int], prepare: Callable[[], object], anew: bool) -> NoReturn:
    status = 70
    try:
        os.setpgid(0, 0)
        for number, file in enumerate(files, start=1):
            os.dup2(file, number)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w") for number in (1, 2))
        prepare()
        if anew:
            os.execv(sys.executable, [sys.executable, "-m", "npi.cli.main", *words])
        status = main(list(words))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
