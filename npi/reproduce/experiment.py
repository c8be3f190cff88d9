"""What ``npi reproduce`` makes again: experiments, found by entry points of the group ``npi.experiments``.

An experiment is stages on a ledger (:mod:`npi.reproduce.ledger`) and what they come to. Packages offer their own, so
that the command imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from envs.settings import closest
from envs.support.plugins import load, offered
from npi.reproduce.ledger import Ledger, Result, Stage
from npi.reproduce.pages import Rows

GROUP = "npi.experiments"
"""The group of entry points."""


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        folder: where everything is kept. quick: minutes in place of hours.
        seeds: none: those of the experiment. parts: of :attr:`Experiment.parts`; none: all.
        programs: a folder of program files; by default the engine's. device: to train on.
        stop: asked now and then; true ends a stage early.
    """

    folder: Path
    quick: bool = False
    seeds: tuple[int, ...] | None = None
    parts: tuple[str, ...] = ()
    programs: Path | None = None
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Outcome:
    """What the finished stages come to, after it was written.

    Attributes:
        table: its head first, for people. lines: below it. document: the whole, as JSON.
        missing: names of stages that were asked for and are not finished.
        reached: whether everything is as it should be.
    """

    table: Rows
    lines: tuple[str, ...]
    document: Mapping[str, Any]
    missing: tuple[str, ...]
    reached: bool


class Session(Protocol):
    """An experiment in a folder: its stages in order, each behind those that it needs."""

    ledger: Ledger
    stages: Sequence[Stage]

    def told(self, result: Result) -> list[str]:
        """What a stage found, in a few words."""
        ...

    def outcome(self) -> Outcome:
        """Collect what is finished in the folder, write it, and say what it comes to."""
        ...


class Experiment(Protocol):
    """Something that can be reproduced.

    Attributes:
        name: on the command line; its folder, too. title: a line about it. parts: what ``--only`` takes, in order.
    """

    name: str
    title: str
    parts: Sequence[str]

    def seeds(self, *, quick: bool) -> tuple[int, ...]:
        """Those that are run where none are asked for."""
        ...

    def check(self, request: Request) -> list[str]:
        """What is told before the work begins.

        Raises ``ValueError`` where something is missing that the work cannot do without.
        """
        ...

    def begin(self, request: Request) -> Session:
        """Lay out the folder; ``ValueError`` for one of other things."""
        ...


def experiment(name: str) -> Experiment:
    """The experiment of that name; ``ValueError`` with those that there are."""
    known = offered(GROUP)
    if name not in known:
        raise ValueError(f"nothing that can be reproduced is called {name}{closest(name, sorted(known))}")
    found: Experiment = load(known[name])
    return found


def checked_parts(found: Experiment, wanted: Iterable[str]) -> tuple[str, ...]:
    """Names of parts, as they stand in ``--only``; ``ValueError`` for one that is not there, with those that are."""
    names = tuple(dict.fromkeys(wanted))
    for name in names:
        if name not in found.parts:
            raise ValueError(f"{found.name} has no part {name}; there are {', '.join(found.parts)}")
    return names
