"""Where the training of the core for all tasks spends its time: ``python -m benchmarks.paper.training_profile``.

Trains one core on addition, sorting and cars as ``npi reproduce npi-paper`` does for its column Multi, and counts the
processor's time by what it was spent on, each moment once:

- render: making the shapes of cars and their pictures, and copying pictures that are kept in memory;
- encode: the convolutional network that reads them, forward and backward;
- core: everything else, the optimiser's step for all parameters among it.

The time backward is that of the nodes of the network's graph, one by one, whatever else the engine runs between them.
All pictures are rendered when they are first read, so the first updates are measured apart from the others.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import envs.cars.image_cache
from benchmarks.common import ROOT, plain_arguments, write
from dsl import load
from envs.cars.world import Cars
from npi.core.pictures import PictureInput
from npi.core.recurrent import RecurrentCore
from npi.jobs.train import new_library, validator_for
from npi.reproduce.pages import Content
from npi.reproduce.recipe import FILES, FULL
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.loop import Descent, Progress

RENDER, COPY, FORWARD, BACKWARD, STEP, REST = PARTS = (
    "render: pictures that were not there",
    "render: pictures copied from memory",
    "encode: forward",
    "encode: backward",
    "core: the optimiser's step",
    "core: everything else",
)

KINDS = ("render", "encode", "core")

LATER, CHECKS = "later updates", "checks"


class Clock:
    """The processor's seconds by phase and part. A part that begins within another one stops that one's time.

    Attributes:
        phase: where time is counted now. seconds: by phase and part. counts: of pictures, by phase and part.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.counts: Counter[tuple[str, str]] = Counter()
        self._open = [REST]
        self._at = time.process_time()

    def begin(self, part: str) -> None:
        self._count()
        self._open.append(part)

    def end(self, *_: object) -> None:
        self._count()
        self._open.pop()

    def enter(self, phase: str) -> None:
        """Count for this phase from now on."""
        self._count()
        self.phase = phase

    def _count(self) -> None:
        now = time.process_time()
        self.seconds[self.phase, self._open[-1]] += now - self._at
        self._at = now

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, on the clock; arrays that it returns count as so many pictures."""

        def call(*arguments: Any, **named: Any) -> Any:
            self.begin(part)
            found = work(*arguments, **named)
            if isinstance(found, torch.Tensor | np.ndarray):
                self.counts[self.phase, part] += len(found)
            self.end()
            return found

        return call


class Shown:
    """A world's pictures, on the clock (implements ``Pictured``)."""

    def __init__(self, world: Cars, clock: Clock) -> None:
        world.views.mesh_of = clock.timed(RENDER, world.views.mesh_of)
        self._pictures = clock.timed(COPY, world.pictures)

    def pictures(self, values_UF: torch.Tensor) -> torch.Tensor:
        return self._pictures(values_UF)  # type: ignore[no-any-return]


def watch(core: RecurrentCore, descent: Descent, clock: Clock) -> None:
    """Put pictures, picture encoders and optimiser on the clock."""

    def backward(_: object, __: object, features_UX: torch.Tensor) -> None:
        clock.end()
        for node in nodes(features_UX):
            node.register_prehook(lambda _: clock.begin(BACKWARD))
            node.register_hook(clock.end)

    for picture in core.modules():
        if isinstance(picture, PictureInput):
            assert isinstance(picture.shown.world, Cars)
            picture.shown.show(Shown(picture.shown.world, clock))
            picture.eye.register_forward_pre_hook(lambda *_: clock.begin(FORWARD))
            picture.eye.register_forward_hook(backward)
    for optimizer in descent.optimizers.values():
        optimizer.register_step_pre_hook(lambda *_: clock.begin(STEP))
        optimizer.register_step_post_hook(clock.end)


def nodes(tensor: torch.Tensor) -> list[torch.autograd.graph.Node]:
    """All nodes of the graph that made a tensor; none where it has no gradient."""
    found, waiting = [], [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.append(node)
            waiting += [before for before, _ in node.next_functions]
    return found


def train(seed: int, updates: int, first: int) -> tuple[Clock, Progress, float]:
    """Train from nothing; the clock, how far it came, and the seconds that making the traces took."""
    began = time.process_time()
    datasets = [
        Dataset.from_programs(load(ROOT / "programs" / f"{name}.npi"), traces=FULL.traces[name], seed=seed)
        for name in FILES
    ]
    traced = time.process_time() - began
    config = replace(FULL.trained("multi", seed), updates=updates)
    library = new_library(FULL.core, datasets, seed=seed)
    objective = FrameObjective.on(library, datasets, config, validate=validator_for(library, config))
    descent, progress = Descent(objective.groups(), objective.schedule), Progress()
    clock = Clock()
    watch(library.core, descent, clock)
    with patch.object(envs.cars.image_cache, "render", clock.timed(RENDER, envs.cars.image_cache.render)):
        while not progress.ended(objective.schedule):
            clock.enter(f"updates 1–{first}" if progress.update < first else LATER)
            descent.update(objective, progress.update)
            progress.update += 1
            clock.enter(CHECKS)
            if progress.update % config.check_every == 0 or progress.update == updates:
                progress.solved = objective.evaluate(progress.update).solved
            clock.enter("")
            if progress.update % 100 == 0:
                print(f"  {progress.update} updates: {_spent(clock):.0f} s, {objective.wrong}", flush=True)
    return clock, progress, traced


def _spent(clock: Clock, phase: str | None = None, kind: str = "") -> float:
    """Seconds of a phase (all by default) on the parts of a kind (all by default)."""
    return sum(s for (at, part), s in clock.seconds.items() if phase in (None, at) and part.startswith(kind))


def table(clock: Clock) -> list[list[str]]:
    """A row for each part and each kind, a column for each phase and one for all: seconds, and their share."""
    phases = sorted({at for at, _ in clock.seconds if at}, key=lambda at: (at == CHECKS, at == LATER))

    def cells(kind: str) -> list[str]:
        spent = [(_spent(clock, phase, kind), _spent(clock, phase)) for phase in [*phases, None]]
        return [f"{part:,.1f} ({100 * part / whole:.0f} %)" for part, whole in spent]

    rows = [["CPU seconds", *phases, "all"]]
    for kind in KINDS:
        rows.append([f"**{kind}**", *[f"**{cell}**" for cell in cells(kind)]])
        rows += [[part.partition(": ")[2], *cells(part)] for part in PARTS if part.startswith(kind)]
    return [*rows, ["together", *[f"{_spent(clock, phase):,.1f}" for phase in [*phases, None]]]]


def each(clock: Clock, *parts: str, of: str) -> str:
    """Milliseconds of some parts for each picture that went through ``of``."""
    seconds = sum(_spent(clock, None, part) for part in parts)
    return f"{1e3 * seconds / max(1, sum(n for (_, part), n in clock.counts.items() if part == of)):.2f} ms"


def contents(clock: Clock, progress: Progress, traced: float, updates: int | None) -> dict[str, Content]:
    """The page's table and figures."""
    rendered, looked = (sum(n for (_, at), n in clock.counts.items() if at == part) for part in (RENDER, COPY))
    command = "python -m benchmarks.paper.training_profile" + (f" --updates {updates}" if updates else "")
    return {
        "command": f"`{command}`",
        "updates": f"{progress.update:,} updates, {'all' if progress.solved else 'not all'} right",
        "traced": f"{traced:.1f}",
        "rendered": f"{rendered:,}",
        "render": each(clock, RENDER, of=RENDER),
        "looked": f"{looked:,}",
        "copy": each(clock, COPY, of=COPY),
        "split": table(clock),
    }


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--updates", type=int, help="at most so many; the recipe's by default")
    parser.add_argument("--first", type=int, default=50, help="updates that are counted apart")
    options = parser.parse_args()
    updates = options.updates or FULL.trained("multi", options.seed).updates
    write("cars-split", contents(*train(options.seed, updates, options.first), options.updates))


if __name__ == "__main__":
    main()
