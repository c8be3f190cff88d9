"""A sweep: every seed's library is that of its own run, kept where it is interrupted, and the spread over them.

Most processes are forked here, so that nothing is imported again; a script starts a real one.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults.forked_seeds import Forked, forks
from npi.core.config import TrainConfig
from npi.jobs.run import checkpoint_path
from npi.jobs.sweep import Spread, SweepResult, train_sweep
from npi.jobs.train import train_library
from npi.library.library import Library
from tests.support.paths import ROOT
from tests.support.tiny import CORE, STRIP, training
from traces.machine.outcome import Budget


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "strip.npi").write_text(STRIP)
    return tmp_path / "strip.npi"


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the next processes of sweeps, so many, be forks of this one."""
    return lambda count: monkeypatch.setattr("npi.jobs.sweep._start", forks(count).pop)


def sweep(source: Path, out: str, *, seeds=(0, 1), config: TrainConfig | None = None, **changes):
    config = config or training(stretch=1.0, check_every=2)
    settings = {"core": CORE, "training": config, "traces": 8, "device": "cpu"} | changes
    return train_sweep([source], seeds=seeds, out=source.parent / out, **settings)


def digests(library: Library) -> tuple[str, str]:
    return library.core.digest(), library.rows_digest()


def told(result: SweepResult, seed: int) -> tuple[str, str]:
    return result.seeds[seed].core, result.seeds[seed].rows


def test_each_seed_is_bit_identical_with_its_own_run(source: Path, fork) -> None:
    alone = {}
    for seed in (0, 1):
        config = training(seed=seed, stretch=1.0, check_every=2)
        alone[seed] = train_library(
            [source], out=source.parent / "one", core=CORE, training=config, traces=8, device="cpu"
        )
    fork(2)
    result = sweep(source, "out")
    assert result.solved
    for seed, one in result.seeds.items():
        written = Library.open(source.parent / "out" / f"seed-{seed}")
        assert digests(alone[seed].library) == told(result, seed) == digests(written)
        assert alone[seed].frames == one.frames
        assert alone[seed].report.update == one.report.update
        assert written.history[-1]["settings"]["seed"] == seed
    assert result.updates == Spread.of([one.report.update for one in result.seeds.values()])
    assert told(result, 0) != told(result, 1)
    assert sorted(p.name for p in (source.parent / "out").iterdir()) == ["seed-0", "seed-1"]


def test_an_interrupted_sweep_resumes(source: Path, fork) -> None:
    """With one process at a time, stopped in the second seed: the first is kept. Where it is stopped at once, none
    begins."""
    seen: list[tuple[int, int]] = []

    def report(seed, found) -> None:
        seen.append((seed, found.update))

    folder, seeds = source.parent / "half", (0, 1)
    assert sweep(source, "none", seeds=seeds, stop=lambda: True).waiting == seeds
    fork(2)
    half = sweep(source, "half", seeds=seeds, processes=1, report=report, stop=lambda: bool(seen) and seen[-1][0] == 1)
    assert [seed for seed, one in half.seeds.items() if one.ended] == [0]
    assert half.waiting == ()
    assert not half.solved
    assert not half.ended
    assert [(folder / f"seed-{seed}").exists() for seed in seeds] == [True, False]
    assert [checkpoint_path(folder / f"seed-{seed}").is_file() for seed in seeds] == [True, True]

    before, reached = (folder / "seed-0" / "manifest.json").read_bytes(), half.seeds[1].report.update
    seen.clear()
    fork(2)
    rest = sweep(source, "half", seeds=seeds, report=report)
    assert min(update for seed, update in seen if seed == 1) == reached + 1
    assert 0 not in {seed for seed, _ in seen}, "a seed that was done is trained again"
    assert [one.resumed for one in rest.seeds.values()] == [True, True]
    assert (folder / "seed-0" / "manifest.json").read_bytes() == before
    config = training(seed=1, stretch=1.0, check_every=2)
    whole = train_library([source], out=source.parent / "one", core=CORE, training=config, traces=8, device="cpu")
    assert told(rest, 1) == digests(whole.library)
    assert sorted(p.name for p in folder.iterdir()) == ["seed-0", "seed-1"]


def test_what_a_user_can_fix_is_told_by_the_process(source: Path, fork) -> None:
    fork(1)
    with pytest.raises(ValueError, match="no such program file"):
        sweep(source.parent / "none.npi", "out", seeds=[0])


def test_a_process_that_fails_is_told(source: Path, monkeypatch) -> None:
    """It shows on stderr where the error arose."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="process of seed 0 ended with 1"):
        sweep(source, "out", seeds=[0])


def test_a_process_that_is_killed_is_told(source: Path, monkeypatch) -> None:
    """Not with a traceback: the machine was short of memory, say. Red where it counts as a mistake of the engine."""
    script = source.parent / "killed"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(ValueError, match="process of seed 0 was ended by SIGKILL, as where memory"):
        sweep(source, "out", seeds=[0])


@pytest.mark.parametrize("when", ["before it wrote", "before it is read", "while it trains"])
def test_a_process_whose_sweep_is_gone_says_nothing(source: Path, capfd, when: str) -> None:
    """Before it begins it does not begin, later it keeps its state; forked here, so that nothing is imported again.

    Red where it reads settings that a sweep was killed before it wrote, where it begins though nobody waits for it, and
    where it writes reports to a pipe that nobody reads.
    """
    out = source.parent / "out" / "seed-0"
    config = training(stretch=1.0, check_every=2).to_json()
    run = {
        "paths": [str(source)], "out": str(out), "hosts": [], "core": CORE.to_json(), "training": config,
        "traces": 8, "device": "cpu", "log": None, "fresh": False, "budget": vars(Budget()),
    }  # fmt: skip
    process = Forked([])
    if when == "while it trains":
        process.stdout.close()
    else:
        os.kill(process.pid, signal.SIGSTOP)
    if when != "before it wrote":
        process.stdin.write(f"{json.dumps(run)}\n")
        process.stdin.flush()
    if when != "while it trains":
        process.stdin.close()
        os.kill(process.pid, signal.SIGCONT)
    assert process.wait() == 0
    assert capfd.readouterr() == ("", "")
    assert checkpoint_path(out).is_file() == (when == "while it trains")
    assert not out.exists()


def test_a_script_needs_no_main_guard(source: Path) -> None:
    """And its process, which imports the engine afresh, comes to the numbers of this one."""
    script = source.parent / "script.py"
    script.write_text(
        "import npi\n"
        f"found = npi.train_sweep([{str(source)!r}], seeds=[5], out={str(source.parent / 'out')!r},\n"
        "    training=npi.TrainConfig(updates=2), traces=2, device='cpu')\n"
        "print(found.seeds[5].report.update, found.seeds[5].core)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    config = TrainConfig(updates=2, seed=5)
    alone = train_library([source], out=source.parent / "one", training=config, traces=2, device="cpu")
    assert done.stdout == f"2 {alone.library.core.digest()}\n"


@pytest.mark.parametrize(("seeds", "message"), [((), "give one or more"), ((3, 1, 3), "seed 3 is given twice")])
def test_which_seeds_are_refused(source: Path, seeds, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep(source, "out", seeds=seeds)
    assert not (source.parent / "out").exists()


def test_the_spread_of_numbers() -> None:
    assert Spread.of([2.0, 4.0, 9.0]) == Spread(3, 5.0, math.sqrt(13), 2.0, 9.0)
    assert Spread.of([7]) == Spread(1, 7.0, 0.0, 7, 7)
    assert Spread.of([]) is None
