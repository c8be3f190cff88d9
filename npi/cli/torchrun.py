"""Commands that torchrun may start as several processes: who speaks, and what is told when one of them ends."""

from __future__ import annotations

import os
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
    tell = _once(lambda: f"npi: process {rank}: {_what_is_left(state)}\n")
    with ExitStack() as stack, _last_words(rank, tell):
        ranks = stack.enter_context(join(device))
        if not ranks.alone:
            stack.enter_context(_told_of_the_end(tell))
        yield ranks


@contextmanager
def _last_words(rank: int, tell: Callable[..., None]) -> Iterator[None]:
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
    kept = f"the state of the last check is kept in {state.parent}, and {AGAIN}"
    left = kept if state.exists() else "nothing is kept"
    return f"ended, because another process of this run did, or torchrun was told to end; {left}"


def _once(text: Callable[[], str]) -> Callable[..., None]:
    """A function that writes the text to stderr the first time that it is called, from any thread; or never does.

    It returns when the text is written, whoever does it: a thread that ends the process next would cut it off.
    """
    one_at_a_time, told = threading.Lock(), False

    def tell(*, silently: bool = False) -> None:
        nonlocal told
        with one_at_a_time:
            if not (told or silently):
                os.write(2, text().encode())
            told = True

    return tell


@contextmanager
def _told_of_the_end(tell: Callable[..., None]) -> Iterator[None]:
    """Tell before SIGTERM ends this process, which is how torchrun ends the others when one has died.

    A thread waits for the signal, since the main one may be inside a sum over processes that never ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end, begin = os.pipe()
    os.set_blocking(begin, False)

    def watch() -> None:
        while number := os.read(end, 1):
            if number[0] == signal.SIGTERM:
                tell()
                os._exit(128 + signal.SIGTERM)
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
