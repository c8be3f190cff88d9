"""Random programs that no universal core was trained on, with all that the recipes ask of them.

Those over the worlds of training are :func:`npi.universal.training_stream.held_programs`, which training leaves out by
hash of behaviour. Two worlds are declared as none of training is; nothing over them was ever seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dsl import loads
from dsl.generator import GeneratedProgram, Vocabulary, stream, vocabulary_of
from dsl.program import Program
from envs.spec import ProgramTable
from npi.universal.functions import deciding
from npi.universal.network import InterpreterConfig
from npi.universal.plan import COPIED, Plan, State, Step, plan_of
from npi.universal.row_search import Drafts, SizeError
from npi.universal.training_stream import SIZES, WORLDS, checked, held_programs

NEW_WORLDS: Mapping[str, str] = {
    "signed (new)": (
        "world pad is scratchpad:\n    row A of -3..3\n    pointer P, Q on A\n    row B of -3..3 or blank at left\n"
    ),
    "brackets (new)": (
        'world pad is scratchpad:\n    row TEXT, STACK of "(" or ")" or "[" or "]" or blank at left\n'
        "    row DEPTH of digit\n    row ANSWER of bit\n"
    ),
}

COUNT = 1000
"""Held-out programs over the worlds of training."""

TOGETHER = 100
"""Programs that are learned as one batch."""


@dataclass(frozen=True)
class Sample:
    """A program that a row is learned for.

    Attributes:
        world: the name of its world. size: :func:`dsl.generator.size_of`. name: as results name it.
        plan: its states; None where they cannot be read off. reason: why it does not fit the core; empty where it does.
        whole: whether it fits with one function for each state.
    """

    world: str
    size: int
    name: str
    program: Program
    table: ProgramTable
    plan: Plan | None
    reason: str
    whole: bool = True

    @cached_property
    def states(self) -> tuple[State, ...]:
        """Those that decide something, of a program that fits."""
        return tuple(filter(deciding, self.plan.states)) if self.plan is not None and not self.reason else ()


def sample(
    world: str, size: int, name: str, program: Program, table: ProgramTable, config: InterpreterConfig
) -> Sample:
    """A program with its plan, or the reason why it has none that fits."""
    try:
        plan = plan_of(program, table)
    except ValueError as error:
        return Sample(world, size, name, program, table, None, str(error))
    return fitted(Sample(world, size, name, program, table, None, ""), plan, config)


def fitted(one: Sample, plan: Plan, config: InterpreterConfig) -> Sample:
    """A program with a plan, and whether that fits the core."""
    try:
        drafts = Drafts(plan, one.table, config)
    except SizeError as error:
        return replace(one, plan=plan, reason=str(error), whole=False)
    return replace(one, plan=plan, reason="", whole=len(drafts.parts) == len(drafts.drafts))


def samples(
    world: str, vocabulary: Vocabulary, found: Sequence[GeneratedProgram], config: InterpreterConfig
) -> Iterator[Sample]:
    """Generated programs, checked and planned."""
    for one, program, programs in checked(vocabulary, found):
        yield sample(world, one.size, one.hash[:12], program, programs.table, config)


def drawn_batches(config: InterpreterConfig, *, count: int = COUNT) -> list[list[Sample]]:
    """The held-out programs over the worlds of training, mixed, in batches; then those over the new worlds."""
    batches = []
    for worlds, most in ((WORLDS, count), (NEW_WORLDS, count // 5)):
        known = {name: vocabulary_of(loads(text)) for name, text in worlds.items()}
        every = [(name, program) for name, words in known.items() for program in held_programs(words)]
        order = np.random.default_rng(0).permutation(len(every))[:most].tolist()
        for begin in range(0, len(order), TOGETHER):
            chosen = [every[i] for i in order[begin : begin + TOGETHER]]
            batch: list[Sample] = []
            for name, words in known.items():
                batch += samples(name, words, [program for world, program in chosen if world == name], config)
            batches.append(batch)
    return batches


def old_programs(config: InterpreterConfig, *, each: int) -> list[Sample]:
    """Programs as training draws them (``each`` of every size and world), whose rows are there before others are."""
    found: list[Sample] = []
    for number, (name, text) in enumerate(WORLDS.items()):
        words = vocabulary_of(loads(text))
        held = {program.hash for program in held_programs(words)}
        generator = np.random.default_rng([1, number])
        drawn = list(stream(words, dict.fromkeys(SIZES, each), generator=generator, exclude=held))
        found += samples(name, words, drawn, config)
    return [one for one in found if one.states]


def kind_of(state: State | Step) -> str:
    """What sort of function a state or a step has, for a table of those that fail."""
    what = "computes a symbol" if (state.value_M >= 0).any() else "chooses"
    outcomes = state.outcomes if isinstance(state, State) else ()
    copies = any(a.how == COPIED for o in outcomes for a in o.arguments)
    count = len(state.outcome_M)
    size = next((f"up to {most:,}" for most in (12, 150, 1500) if count <= most), "more than 1,500")
    return f"{what}{' and copies' if copies else ''}; {state.seen_MR.shape[1]} inputs; {size} configurations"
