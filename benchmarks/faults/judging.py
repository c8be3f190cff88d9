"""Tests of a copy of the repository in forks of this process, which have what takes long to import, with limits of CPU
time for each test: :func:`tested`.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

PROJECT = {"benchmarks", "dsl", "envs", "meta", "npi", "tests", "traces"}
BASELINE = 600.0
"""CPU seconds that the tests of a module may take without a change."""
ASLEEP = 20.0
"""Seconds of the clock for each CPU second of the tests' limits, after which they wait for what does not come."""
LONGER = 5.0
"""A test may take so many times what it takes without a change, and so many CPU seconds more."""


def imported() -> None:
    """Import what tests take long to import; forks have it."""
    import numba  # noqa: F401
    import numpy  # noqa: F401
    import pydantic  # noqa: F401
    import torch  # noqa: F401


@dataclass(frozen=True)
class Judged:
    """How tests ended: ``green``, ``red`` or ``late`` (a test took more than its limit), and CPU seconds, of each test
    that ended as well."""

    found: str
    seconds: float
    tests: Mapping[str, float]


class Limited:
    """A plugin of pytest: quick tests of a file come first, a test that takes longer than its limit ends the process,
    and the CPU seconds of each are written to a file.

    Args:
        usual: CPU seconds of each test without a change, by which they are put in order. limited: whether they bound
            what a test takes, too.
    """

    def __init__(self, usual: Mapping[str, float], told: Path, *, limited: bool) -> None:
        self.usual, self.told, self.limited = usual, told, limited

    def pytest_configure(self) -> None:
        """No failing example is made smaller, which takes longer than the tests; conftest.py has loaded its own."""
        quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutants", hypothesis.settings.default, phases=quick)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place: dict[Path, int] = {}
        for item in items:
            place.setdefault(item.path, len(place))
        items.sort(key=lambda item: (place[item.path], self.usual.get(item.nodeid, 0.0)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self.limited:
            signal.setitimer(signal.ITIMER_PROF, LONGER * (1 + self.usual.get(item.nodeid, 0.0)))
        began = time.process_time()
        found = yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        with self.told.open("a", encoding="utf-8") as file:
            file.write(json.dumps([item.nodeid, time.process_time() - began]) + "\n")
        return found


def tested(folder: Path, tests: Sequence[str], usual: Mapping[str, float], *, limited: bool) -> Judged:
    """Run tests in a copy, in a fork of this process; ``usual`` and ``limited`` as :class:`Limited` takes them."""
    limit = LONGER * (1 + sum(usual.values())) if limited else BASELINE
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "seconds"
        if not (child := os.fork()):
            _work(folder, tests, Limited(usual, told, limited=limited), limit)
        while not (waited := os.wait4(child, os.WNOHANG))[0]:
            if time.monotonic() > began + ASLEEP * limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return Judged("late", limit, {})
            time.sleep(0.05)
        lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    _, status, used = waited
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL)
    found = "late" if late else "green" if status == 0 else "red"
    return Judged(found, used.ru_utime + used.ru_stime, dict(json.loads(line) for line in lines))


def _work(folder: Path, tests: Sequence[str], plugin: Limited, limit: float) -> None:
    """Run the tests in this process, and end it."""
    status = 70
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in PROJECT]:
            del sys.modules[name]  # the tests import those of the copy
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        options = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
        status = int(pytest.main([*options, *tests], plugins=[plugin]))
    finally:
        os._exit(status)
