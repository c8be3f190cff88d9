"""Signals that ask a command to end: Ctrl-C, SIGTERM of whoever supervises it, SIGHUP of a terminal that is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

OTHERS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals that are answered as Ctrl-C is."""

_received: list[int] = []
"""Those that asked the running command to end."""


_alone: list[bool] = []
"""Not empty where the process ends with its command."""


def end_with_command() -> None:
    """Say that this process ends with its command: no signal after the one that ended it changes the exit status."""
    _alone.append(True)


def interrupted_status() -> int:
    """The exit status of an interrupted command, as shells tell it: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_received[0] if _received else signal.SIGINT)


@contextmanager
def answered() -> Iterator[None]:
    """Inside, the other signals raise ``KeyboardInterrupt`` as Ctrl-C does; one that comes again changes nothing."""
    _received.clear()

    def end(number: int, frame: FrameType | None) -> None:
        if not _received:
            _received.append(number)
            raise KeyboardInterrupt

    with _handled(end, OTHERS, ignore=lambda: bool(_alone and _received)):
        yield


@contextmanager
def stop_on_interrupt(*, quiet: bool = False) -> Iterator[Callable[[], bool]]:
    """The signals ask to stop at the next good place, which the function tells.

    A second Ctrl-C stops at once. Of the others a second one does not: ``timeout`` and batch systems send several.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not (asked or quiet):
            with suppress(OSError):  # of a terminal that is gone
                os.write(2, b"\nstopping after this update; Ctrl-C again stops at once\n")
        asked = True
        _received.append(number)

    with _handled(ask, [signal.SIGINT, *OTHERS]):
        yield lambda: asked


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None],
    numbers: list[signal.Signals],
    *,
    ignore: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Signals answered by a function inside; behind they are as before, or ignored where that is asked, which outlasts
    Python's handlers. Those that are ignored already (as ``nohup`` has it) are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [n for n, old in before.items() if old is not None and (n == signal.SIGINT or old != signal.SIG_IGN)]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_IGN if ignore() else before[number])
