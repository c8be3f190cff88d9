"""Commands that torchrun may start as several processes: who speaks, and what is told when one of them ends."""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from npi.cli.console import NOT_REACHED

if TYPE_CHECKING:
    from npi.training.ranks import Ranks

GRACE = 12.0
"""Seconds after which another process than the first tells its error. The first one mostly finds the same, tells it and
ends, and torchrun ends the others."""

STOPPING = 20.0
"""Seconds after SIGTERM in which a process may finish its update and keep its state; torchrun waits for thirty."""

AGAIN = "the same command resumes, with any number of processes"


@contextmanager
def ranks_of(device: str, state: Path) -> Iterator[Ranks]:
    """The processes that torchrun started, or this one alone; told as exit codes say, where another one ends.

    Args:
        device: by name.
        state: where the run's state is kept.
    """
    from npi.training.ranks import join

    rank = int(os.environ.get("RANK", "0"))
    tell = _Once(lambda: f"npi: process {rank}: {_what_is_left(state)}\n")
    with ExitStack() as stack, _last_words(rank, tell):
        ranks = stack.enter_context(join(device))
        if not ranks.alone:
            stack.enter_context(_told_of_the_end(tell))
        yield ranks


@contextmanager
def _last_words(rank: int, tell: _Once) -> Iterator[None]:
    """Tell that another process has ended; let the first one tell of errors that all of them find."""
    from npi.training.ranks import LostRankError

    try:
        yield
    except LostRankError:
        tell()
        raise typer.Exit(NOT_REACHED) from None
    except (ValueError, LookupError, OSError, ArithmeticError):
        if rank:
            tell(silently=True)
            time.sleep(GRACE)
        raise


def refuse_torchrun(why: str) -> None:
    """Raise ``ValueError`` where torchrun has started several processes of what one has to do."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"{why}; start it without torchrun")


def _what_is_left(state: Path) -> str:
    return f"ended, because another process of this run did, or torchrun was told to end; {kept(state)}"


def kept(state: Path) -> str:
    """What is there to resume from where a run ended before it could keep its state."""
    last = f"the last state is kept in {state.parent}, and {AGAIN}"
    return last if state.exists() else "nothing is kept"


class _Once:
    """Writes the text to stderr the first time that it is called, from any thread; or never does.

    It returns when the text is written, whoever does it: a thread that ends the process next would cut it off.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self.text, self.told, self.one_at_a_time = text, False, threading.Lock()

    def __call__(self, *, silently: bool = False) -> None:
        with self.one_at_a_time:
            if not (self.told or silently):
                os.write(2, self.text().encode())
            self.told = True


@contextmanager
def _told_of_the_end(tell: _Once) -> Iterator[None]:
    """Tell before SIGTERM ends this process, where it does not stop by itself within :data:`STOPPING` seconds.

    torchrun sends it to all processes where it is told to end, and to the others when one has died. A thread waits for
    the signal, since the main one may be inside a sum over processes that never ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end, begin = os.pipe()
    os.set_blocking(begin, False)

    def watch() -> None:
        deadline = math.inf
        while True:
            left = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
            if not select.select([end], [], [], left)[0]:
                tell()
                os._exit(128 + signal.SIGTERM)
            number = os.read(end, 1)
            if not number:
                break
            if number[0] == signal.SIGTERM:
                deadline = min(deadline, time.monotonic() + (0 if tell.told else STOPPING))
        os.close(end)

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    waking = signal.set_wakeup_fd(begin, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGTERM, before)
        os.close(begin)
