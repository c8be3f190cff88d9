"""A world of one list and one pointer, programs on it, and cores that learn them in about a second."""

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from dsl import loads
from dsl.program import ProgramSet
from envs.spec import ProgramTable
from npi.core.config import FORCED, LEARNED, CoreConfig, TrainConfig
from npi.core.recurrent import recurrent
from npi.jobs.train import new_library
from npi.library.library import Library
from npi.training.dataset import Dataset
from npi.training.frame_objective import FrameObjective
from npi.training.induction.inferred_places import finders_of
from npi.training.learn_rows import RowObjective
from npi.training.loop import Descent, fit
from npi.training.ranks import ALONE, Ranks
from npi.training.validation import TaskValidator, Validator
from traces.generation.generate import load_sources

STRIP = """
world strip is scratchpad:
    row A of 0..2
    pointer P on A at left

program MOVE(d: direction) "One step":
    ACT(P, d)

program SCAN "To the end":
    while not last(P):
        MOVE(RIGHT)

program HOME "To the beginning":
    while not first(P):
        MOVE(LEFT)

program STAY "To the end and back":
    SCAN
    HOME

program ROUND "Back, to the end, and back":
    HOME
    SCAN
    HOME

program ZERO "To the first zero, or the end":
    while P != 0 and not last(P):
        MOVE(RIGHT)

program BOTH "All of it":
    ROUND
    STAY
    ZERO

task both(items: list of 0..2):
    A = items
    run BOTH
    expect A == items and ((under(P) == 0) if min(items) == 0 else (at(P) == len(items) - 1))
    train items of 1..4
    test items of 3, 9
"""

TURN = """
use "strip.npi"

program RUN "To the end again":
    while not last(P):
        MOVE(RIGHT)

program TURN "To the end, back, and to the end":
    STAY
    RUN

task turn(items: list of 0..2):
    A = items
    run TURN
    expect at(P) == len(items) - 1
    train items of 1..5
    test items of 3, 9
"""

TAPE = """
world tape is scratchpad:
    row T of bit

program WIPE "Blank one cell":
    ACT(T, WRITE, blank)
    ACT(T, LEFT)

program ERASE "Blank all cells":
    while T == 0 or T == 1:
        WIPE

task erase(a: number base 2):
    T = digits(a, 2)
    run ERASE
    expect T == []
    train a of 1..3 digits
    test a of 2, 9 digits
"""

CORE = CoreConfig(hidden=64, bits=5, row=32, key=8)
LSTM = CoreConfig(kind="lstm", hidden=24, bits=1, row=12, key=7, gates=False)
SMALL = CoreConfig(hidden=13, bits=3, row=11, key=7)
CORES = {"discrete": SMALL, "lstm": LSTM}


def training(**changes: Any) -> TrainConfig:
    """Settings that solve the strip in about 120 updates with learned states."""
    usual = {"states": LEARNED, "updates": 400, "frames": 48, "check_every": 20, "problems": 8, "decay": 300}
    usual |= {"warmup": 50}
    return TrainConfig(**(usual | {"stretch": 3.0} | changes))


def forcing(**changes: Any) -> TrainConfig:
    """Settings that solve the strip in about 40 updates with forced states."""
    return training(**({"states": FORCED, "warmup": 10} | changes))


STATES = {FORCED: forcing, LEARNED: training}
"""Settings of both ways to come by states."""


@cache
def strip() -> ProgramSet:
    return loads(STRIP, path="strip.npi")


@cache
def turn() -> ProgramSet:
    return load_sources([("strip.npi", STRIP), ("turn.npi", TURN)])


@cache
def tape() -> ProgramSet:
    return loads(TAPE, path="tape.npi")


_DATASETS: dict[tuple[str, int], Dataset] = {}


def dataset(programs: ProgramSet, traces: int = 8) -> Dataset:
    """Its traces, made once."""
    key = programs.digest, traces
    if key not in _DATASETS:
        _DATASETS[key] = Dataset.from_programs(programs, traces=traces, seed=0)
    return _DATASETS[key]


def untrained(config: CoreConfig = CORE, *sets: ProgramSet, seed: int = 0) -> Library:
    """A library with random numbers for the strip, or for the sets given."""
    return new_library(config, [dataset(programs) for programs in sets or (strip(),)], seed=seed)


def make_objective(
    config: TrainConfig, *, core: CoreConfig = CORE, seed: int = 0, validated: bool = True, traces: int = 8
) -> FrameObjective:
    """Training on the strip."""
    library = new_library(core, [dataset(strip(), traces)], seed=seed)
    validate = TaskValidator(library, library.sets, config) if validated else None
    return objective_on(library, [dataset(strip(), traces)], config, validate=validate)


def objective_on(
    library: Library,
    datasets: Sequence[Dataset],
    config: TrainConfig,
    *,
    validate: Validator | None = None,
    ranks: Ranks = ALONE,
) -> FrameObjective:
    """Training on some datasets, with their places where states are forced."""
    finders = finders_of(datasets)[0] if config.states == FORCED else []
    given = [found.frames for found in datasets]
    return FrameObjective(library, given, config, finders=finders, validate=validate, ranks=ranks)


def seen_by(library: Library, row: int, code: int = 0) -> list[bool]:
    """Which inputs (state, fields, slots) a row's gates leave open in a code, bit by bit in plain Python."""
    core = recurrent(library.core)
    words = library.memory.gates_NF[row].view(core.codes, core.words)[code].int().tolist()
    inputs = 1 + len(core.worlds[library.memory.infos[row].world].fields) + 3
    return [bool(words[i // 24] >> i % 24 & 1) for i in range(inputs)]


def names_seen(library: Library, row: int, code: int = 0) -> set[str]:
    """The same by name, slots by those of the row's signature; those that it does not have are left out."""
    info = library.memory.infos[row]
    fields = [field.name for field in library.core.worlds[info.world].fields]
    names = ["state", *fields, *(slot.name for slot in info.signature.slots)]
    return {name for name, open_ in zip(names, seen_by(library, row, code), strict=False) if open_}


@torch.no_grad()
def draw_gates(library: Library, *, generator: torch.Generator, alike: bool) -> None:
    """Close about half of all gates, in all codes the same ones where ``alike``."""
    core, memory = recurrent(library.core), library.memory
    shape = len(memory), 1 if alike else core.codes, core.words
    words = torch.randint(2**24, shape, generator=generator).expand(len(memory), core.codes, core.words)
    memory.gates_NF.copy_(words.reshape(memory.gates_NF.shape))


def solved(objective: FrameObjective) -> bool:
    """Whether training comes to an end before the updates are spent."""
    return fit(objective, objective.schedule).solved


class Steps:
    """One update of an objective after the other, without checks."""

    def __init__(self, objective: FrameObjective | RowObjective) -> None:
        self.objective, self.done = objective, 0
        ranks = objective.ranks if isinstance(objective, FrameObjective) else ALONE
        self.descent = Descent(objective.groups(), objective.schedule, ranks)

    def take(self, count: int = 1) -> list[float]:
        """The losses of so many updates."""
        losses = []
        for _ in range(count):
            losses.append(self.descent.update(self.objective, self.done))
            self.done += 1
        return losses


@cache
def _trained(states: str) -> Library:
    objective = make_objective(STATES[states]())
    assert solved(objective), "the strip was not learned"
    return objective.library


def trained(states: str = FORCED) -> Library:
    """A library that runs the strip's programs without a mistake; a copy of its own for each caller."""
    return copy.deepcopy(_trained(states))


def configurations(
    table: ProgramTable, count: int, *, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random obs_BF, program_B (programs only) and arguments_B3 of a table."""
    obs = torch.stack([torch.randint(f.size, (count,), generator=generator) for f in table.world.fields], 1)
    program = torch.randint(table.primitives, len(table), (count,), generator=generator)
    return obs, program, torch.randint(len(table.world.tokens), (count, 3), generator=generator)


def plain_end(items: tuple[int, ...], task: str) -> tuple[list[int], int]:
    """What the strip's tasks leave behind, in plain Python: the list and the place of the pointer."""
    if task == "turn":
        return list(items), len(items) - 1
    return list(items), items.index(0) if 0 in items else len(items) - 1
