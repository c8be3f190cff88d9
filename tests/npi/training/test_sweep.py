"""A sweep: every seed's library as its own run would make it, kept where it is interrupted, with the spread told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from npi.core.config import TrainConfig
from npi.jobs.sweep import Spread, furthest_behind, train_sweep, train_together
from npi.jobs.train import checkpoint_path, train_library
from npi.library.library import Library
from npi.training.checkpoint import CheckpointError
from npi.training.trainer import Validation
from tests.support.paths import PROGRAMS
from tests.support.tiny import CORE, LSTM, STRIP, make_trainer, training

NEAR = 10
"""Updates by which rounding may move the end of a training; on one machine it moved none of those here."""


def test_seeds_end_when_their_own_runs_do() -> None:
    """Each is checked by itself, and leaves when it is solved; the others go on."""
    config = {"check_every": 5, "updates": 300}
    together = [make_trainer(training(seed=seed, **config), seed=seed) for seed in range(3)]
    ends: dict[int, list[int]] = {seed: [] for seed in range(3)}
    train_together(together, stop=lambda: False, report=lambda t: ends[t.config.seed].append(t.progress.update))
    for seed, trainer in enumerate(together):
        alone = make_trainer(training(seed=seed, **config), seed=seed)
        alone.run()
        assert trainer.progress.solved
        assert abs(trainer.progress.update - alone.progress.update) <= NEAR
        assert ends[seed] == list(range(1, trainer.progress.update + 1))
        assert trainer.validation == alone.validation == Validation(8, 8)
        assert trainer.progress.seconds > 0
    assert len({len(found) for found in ends.values()}) > 1


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_trainers_take_their_own_updates_to_the_bit(seeds: int) -> None:
    together, alone = ([make_trainer(training(seed=s, updates=25), seed=s) for s in range(seeds)] for _ in range(2))
    train_together(together, stop=lambda: False, report=lambda _: None)
    for one, two in zip(together, alone, strict=True):
        two.run()
        assert (one.core.digest(), one.library.rows_digest()) == (two.core.digest(), two.library.rows_digest())


def test_those_that_are_behind_catch_up_first() -> None:
    trainers = [make_trainer(training(seed=seed, updates=9), seed=seed, validated=False) for seed in range(3)]
    for _ in range(4):
        trainers[1].update()
    turns = []
    train_together(trainers, stop=lambda: False, report=lambda t: turns.append((t.config.seed, t.progress.update)))
    assert turns[:8] == [(seed, update) for update in (1, 2, 3, 4) for seed in (0, 2)]
    assert turns[8:11] == [(0, 5), (1, 5), (2, 5)]
    assert furthest_behind(trainers) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "strip.npi").write_text(STRIP)
    return tmp_path / "strip.npi"


def sweep(source: Path, out: str, *, seeds=(0, 1, 2), config: TrainConfig | None = None, **changes):
    config = config or training(stretch=1.0, check_every=2)
    settings = {"core": CORE, "training": config, "traces": 8, "device": "cpu"} | changes
    return train_sweep([source], seeds=seeds, out=source.parent / out, **settings)


def digests(result) -> dict[int, tuple[str, str]]:
    return {s: (one.library.core.digest(), one.library.rows_digest()) for s, one in result.seeds.items()}


def test_a_sweep_writes_a_library_a_seed(source: Path) -> None:
    """Each as its own run would: the same frames, and solved after as many updates."""
    result = sweep(source, "out")
    assert result.solved
    for seed, one in result.seeds.items():
        folder = source.parent / "out" / f"seed-{seed}"
        library = Library.open(folder)
        assert library.core.digest() == one.library.core.digest()
        assert library.history[-1]["settings"]["seed"] == seed
        assert not checkpoint_path(folder).parent.exists()
        config = training(seed=seed, stretch=1.0, check_every=2)
        alone = train_library([source], out=source.parent / "one", core=CORE, training=config, traces=8, device="cpu")
        assert abs(alone.report.update - one.report.update) <= NEAR
        assert [len(m.frames) for m in alone.materials] == [len(m.frames) for m in one.materials]
    counts = [one.report.update for one in result.seeds.values()]
    assert result.updates == Spread.of(counts)
    assert len(set(digests(result).values())) == 3


def test_an_interrupted_sweep_goes_on_to_the_same_numbers(source: Path) -> None:
    """Stopped when the first seed is done: its library is there, and it is not trained again."""
    whole = sweep(source, "whole")
    seen: list[tuple[int, int]] = []
    solved: list[int] = []

    def report(seed, found) -> None:
        seen.append((seed, found.update))
        solved.extend([seed] * found.solved)

    half = sweep(source, "half", report=report, stop=lambda: bool(solved))
    first, folder = solved[0], source.parent / "half"
    assert not half.solved
    assert [seed for seed in (0, 1, 2) if (folder / f"seed-{seed}").exists()] == solved
    assert all(checkpoint_path(folder / f"seed-{seed}").is_file() for seed in (0, 1, 2))
    seen.clear()
    rest = sweep(source, "half", report=report)
    assert first not in {seed for seed, _ in seen}
    assert all(one.resumed for one in rest.seeds.values())
    assert digests(rest) == digests(whole)
    assert sorted(p.name for p in folder.iterdir()) == ["seed-0", "seed-1", "seed-2"]


def test_a_single_run_goes_on_from_the_state_of_its_seed(source: Path) -> None:
    turns: list[int] = []
    sweep(source, "out", report=lambda seed, found: turns.append(found.update), stop=lambda: len(turns) >= 21)
    out = source.parent / "out" / "seed-2"
    config = training(seed=2, stretch=1.0, check_every=2)
    found = train_library([source], out=out, core=CORE, training=config, traces=8, device="cpu")
    assert found.resumed
    assert found.solved
    with pytest.raises(CheckpointError, match="other settings"):
        sweep(source, "out", config=training(stretch=1.0, updates=7))
    assert not sweep(source, "out", config=training(stretch=1.0, updates=7), fresh=True).seeds[0].resumed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "give one or more"),
        ({"seeds": (3, 1, 3)}, "seed 3 is given twice"),
        ({"core": LSTM}, "for discrete cores.*one --seed at a time"),
        ({"config": training(compile=True)}, "not compiled.*leave --compile out"),
    ],
)
def test_what_is_not_trained_side_by_side_is_refused(source: Path, changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sweep(source, "out", **changes)
    assert not (source.parent / "out").exists()


def test_worlds_that_are_seen_as_pictures_are_refused(tmp_path: Path) -> None:
    text = (PROGRAMS / "goto.npi").read_text().replace("unseen: 60, novel: 60", "unseen: 2, novel: 2, pixels: 16")
    (tmp_path / "goto.npi").write_text(text.replace("seen: 500", "seen: 3"))
    with pytest.raises(ValueError, match=r"goto.npi has a world that is seen as a picture.*train one --seed at a time"):
        sweep(tmp_path / "goto.npi", "out", traces=1)
    assert not (tmp_path / "out").exists()


def test_the_spread_of_numbers() -> None:
    assert Spread.of([2.0, 4.0, 9.0]) == Spread(3, 5.0, math.sqrt(13), 2.0, 9.0)
    assert Spread.of([7]) == Spread(1, 7.0, 0.0, 7, 7)
    assert Spread.of([]) is None
