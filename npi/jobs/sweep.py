"""A sweep: libraries that differ in their seed alone, trained side by side; what each comes to, and the spread.

Each seed draws its own traces, weights, frames and noise, and is checked by itself, exactly as in a run of its own. Its
updates are computed together with those of the others (:mod:`npi.training.sweep.stacked_trainers`), which changes the
last digits of a sum and nothing else. A seed whose training ends leaves, and its library is written at once.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import (
    ScalarLog,
    TrainResult,
    checkpoint_path,
    gather,
    history_entry,
    new_library,
    run_identity,
    validator_for,
)
from npi.training.checkpoint import load_checkpoint, save_checkpoint
from npi.training.dataset import Material
from npi.training.ranks import pick_device
from npi.training.sweep.stacked_trainers import StackedTrainers
from npi.training.trainer import Report, Trainer, place

SeedReporter = Callable[[int, Report], None]


@dataclass(frozen=True)
class Spread:
    """Of a number over seeds: how many there are, the mean, the standard deviation (n − 1), the least and the most."""

    count: int
    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """``None`` of no values; the deviation of one value is 0."""
        if not values:
            return None
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(len(values), mean, math.sqrt(squares / max(1, len(values) - 1)), min(values), max(values))


@dataclass(frozen=True)
class SweepResult:
    """What each seed came to, by seed."""

    seeds: Mapping[int, TrainResult]

    @property
    def solved(self) -> bool:
        """Whether every seed is."""
        return all(result.solved for result in self.seeds.values())

    @property
    def updates(self) -> Spread | None:
        """Updates of the seeds that are solved."""
        return Spread.of([result.report.update for result in self.seeds.values() if result.solved])


def train_sweep(
    paths: Sequence[Path | str],
    *,
    seeds: Sequence[int],
    out: Path | str,
    core: CoreConfig | None = None,
    training: TrainConfig | None = None,
    traces: int = 32,
    device: str = "auto",
    log: Path | None = None,
    report: SeedReporter | None = None,
    stop: Callable[[], bool] = lambda: False,
    fresh: bool = False,
) -> SweepResult:
    """Train a library for each seed on everything in ``paths``, side by side, and write them to ``out/seed-N``.

    Each has its state in ``out/seed-N.training``, like a run of :func:`npi.jobs.train.train_library` with that seed,
    which can go on from it, too. The states stay until all seeds are done, so that the same call goes on after a kill.

    Args:
        seeds: in place of ``training.seed``.
        log: folder for TensorBoard; each seed writes to ``log/seed-N``.
        report: called after each update of each seed.

    Raises:
        ValueError: as :func:`npi.jobs.train.train_library` does, and for settings that cannot be trained side by side.
    """
    core = core or CoreConfig()
    training = training or TrainConfig.for_core(core)
    check_sweep(core, training, seeds)
    target = pick_device(device)
    runs: dict[int, _Run] = {}
    for seed in seeds:
        materials = gather(paths, traces=traces, seed=seed)
        _check_worlds(materials)
        runs[seed] = _Run.begin(materials, seed_folder(out, seed), core, replace(training, seed=seed), device=target)
        if not fresh:
            runs[seed].resume()
    with _logs(log, seeds) as logs:

        def each(trainer: Trainer) -> None:
            seed, found = trainer.config.seed, trainer.report()
            logs[seed].add(found)
            if ended(trainer):
                runs[seed].finish()
            elif found.update % training.check_every == 0:
                runs[seed].save()
            if report is not None:
                report(seed, found)

        train_together([run.trainer for run in runs.values()], stop=stop, report=each)
    for run in runs.values():
        if not ended(run.trainer):
            run.save()
    if all(ended(run.trainer) for run in runs.values()):
        for run in runs.values():
            shutil.rmtree(run.state.parent, ignore_errors=True)
    return SweepResult({seed: run.result() for seed, run in runs.items()})


def train_together(trainers: Sequence[Trainer], *, stop: Callable[[], bool], report: Callable[[Trainer], None]) -> None:
    """Take updates, all trainers' at once, and check each as it is due, until all have ended or ``stop()``.

    Those that are behind (their states were saved at different times) catch up first. Where stacking would gain
    nothing, each takes its own updates, to the bits of its own run.
    """
    stacked: StackedTrainers | None = None
    batch: list[Trainer] = []
    try:
        while (found := furthest_behind(trainers)) and not stop():
            if found != batch:
                if stacked is not None:
                    stacked.release()
                batch, stacked = found, StackedTrainers(found) if pays(found) else None
            began = time.process_time()
            if stacked is not None:
                stacked.update()
            else:
                for trainer in batch:
                    trainer.update()
            shared = (time.process_time() - began) / len(batch)
            for trainer in batch:
                began = time.process_time()
                trainer.check_when_due()
                trainer.progress.seconds += shared + time.process_time() - began
                report(trainer)
    finally:
        if stacked is not None:
            stacked.release()


def pays(trainers: Sequence[Trainer]) -> bool:
    """Whether updates taken at once are quicker (docs/performance.md): on a CPU from three on."""
    on_cpu = trainers[0].memory.keys_NK.device.type == "cpu"
    return len(trainers) > (2 if on_cpu else 1)


def furthest_behind(trainers: Sequence[Trainer]) -> list[Trainer]:
    """Of the trainers that have not ended, those with the fewest updates."""
    going = [trainer for trainer in trainers if not ended(trainer)]
    fewest = min((trainer.progress.update for trainer in going), default=0)
    return [trainer for trainer in going if trainer.progress.update == fewest]


def ended(trainer: Trainer) -> bool:
    """Whether training is done: solved, or out of updates."""
    return trainer.progress.solved or trainer.progress.update >= trainer.config.updates


def seed_folder(out: Path | str, seed: int) -> Path:
    """Where the library of a seed goes."""
    return Path(out) / f"seed-{seed}"


def check_sweep(core: CoreConfig, training: TrainConfig, seeds: Sequence[int]) -> None:
    """Refuse, with a ``ValueError``, what is not trained side by side."""
    if not seeds:
        raise ValueError("a sweep needs seeds: give one or more")
    double = sorted({seed for seed in seeds if list(seeds).count(seed) > 1})
    if double:
        raise ValueError(f"seed {double[0]} is given twice; each seed is one library")
    if core.kind != "discrete":
        raise ValueError(
            f"seeds side by side are for discrete cores: an {core.kind} core of the published size is slower that way "
            "than one run after the other; train one --seed at a time"
        )
    if training.compile:
        raise ValueError(
            "seeds side by side are not compiled, since their shapes change from update to update; leave --compile out"
        )


def _check_worlds(materials: Sequence[Material]) -> None:
    """Refuse worlds that are seen as pictures: which pictures are looked at depends on values."""
    for material in materials:
        if material.table.world.pictures:
            raise ValueError(
                f"{material.name} has a world that is seen as a picture, and those are not trained side by side; train "
                "one --seed at a time"
            )


@dataclass
class _Run:
    """One seed's run: its trainer, what it learns from, and where its state and its library are kept."""

    trainer: Trainer
    materials: tuple[Material, ...]
    out: Path
    identity: str
    resumed: bool = False

    @classmethod
    def begin(
        cls, materials: Sequence[Material], out: Path, core: CoreConfig, training: TrainConfig, *, device: torch.device
    ) -> _Run:
        library = new_library(core, materials, seed=training.seed, device=device)
        sources = [place(library, material.frames) for material in materials]
        trainer = Trainer(library, sources, training, validate=validator_for(library, training))
        return cls(trainer, tuple(materials), out, run_identity(core, training, materials))

    @property
    def state(self) -> Path:
        return checkpoint_path(self.out)

    def resume(self) -> None:
        """Go on from the state, where there is one; a run that had ended has its library written again."""
        self.resumed = self.state.exists()
        if self.resumed:
            load_checkpoint(self.trainer, self.state, identity=self.identity)
            if ended(self.trainer):
                self.finish()

    def save(self) -> None:
        save_checkpoint(self.trainer, self.state, identity=self.identity)

    def finish(self) -> None:
        """Write the library, and the state that says that it is final."""
        library, training = self.trainer.library, self.trainer.config
        library.history.append(history_entry(self.trainer.report(), training, self.materials))
        library.save(self.out)
        self.save()

    def result(self) -> TrainResult:
        return TrainResult(self.trainer.library, self.trainer.report(), self.materials, self.resumed)


@contextmanager
def _logs(folder: Path | None, seeds: Sequence[int]) -> Iterator[dict[int, ScalarLog]]:
    """A log of scalars for each seed."""
    with ExitStack() as stack:
        logs = {seed: ScalarLog(None if folder is None else folder / f"seed-{seed}") for seed in seeds}
        yield {seed: stack.enter_context(log) for seed, log in logs.items()}
