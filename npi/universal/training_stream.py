"""What a universal core is trained on: the states of very many random programs over several worlds.

Held-out programs are drawn first; no program that behaves as one of them is in the training stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dsl import loads
from dsl.formatting.printer import format_tree
from dsl.generator import GeneratedProgram, Vocabulary, held_out, stream, vocabulary_of
from dsl.program import Program, ProgramSet
from npi.universal.functions import deciding
from npi.universal.network import InterpreterConfig
from npi.universal.plan import Plan, State, Step, plan_of

WORLDS: Mapping[str, str] = {
    "list": "world list is scratchpad:\n    row A of 0..9\n    pointer P, Q on A\n    counter K on A\n",
    "digits": "world pad is scratchpad:\n    row IN1, IN2, CARRY, OUT of digit\n",
    "places": (
        "world pad is scratchpad:\n    row A of digit\n    pointer LO, I, J on A at left\n"
        "    row S, T of place at left\n    order LO, I\n    order I, J\n    jump TO, HALFWAY\n"
    ),
    "bits": "world pad is scratchpad:\n    row X, Y, Z of bit\n    row D of digit\n",
    "letters": (
        'world pad is scratchpad:\n    row S, T of "a" or "b" or "c" or "d" or blank\n    row N of 0..2 or blank\n'
    ),
    "words": "world pad is scratchpad:\n    row IN, OUT of letter at left\n    row N of digit\n",
    "mixed": (
        "world pad is scratchpad:\n    row U of 0..4\n    pointer P on U at left\n    row V of 0..4 or blank\n"
        '    row W of "x" or "y" or "z" or blank at left\n'
    ),
    "flags": "world pad is scratchpad:\n    row A, B of digit\n    row C of 0..1\n    pointer P on C at left\n",
}
"""The worlds of the shipped core, by a name for people."""

SIZES = range(1, 13)
"""Of the programs, as :func:`dsl.generator.size_of` counts."""

HELD_SEED = 7
HELD = 12
"""Programs held out of each world and size; fewer of size 1, of which there are few."""

TOGETHER = 300
"""Programs that are checked as one file."""

LARGEST = 4096
"""States with more situations are left out of training."""

Say = Callable[[int, int, str], None]
"""Told how far it is: programs drawn, of how many, and of which world."""


def vocabularies(worlds: Mapping[str, str] = WORLDS) -> dict[str, Vocabulary]:
    """What programs of each world may mention."""
    return {name: vocabulary_of(loads(text)) for name, text in worlds.items()}


def held_programs(vocabulary: Vocabulary, *, each: int = HELD, sizes: Iterable[int] = SIZES) -> list[GeneratedProgram]:
    """The programs of a world that no training stream has."""
    wanted = {size: each if size > 1 else max(1, each // 3) for size in sizes}
    return list(held_out(vocabulary, wanted, seed=HELD_SEED))


def checked(
    vocabulary: Vocabulary, found: Sequence[GeneratedProgram]
) -> Iterator[tuple[GeneratedProgram, Program, ProgramSet]]:
    """Each generated program beside itself as a checked program, and the file that it is in."""
    for begin in range(0, len(found), TOGETHER):
        some = found[begin : begin + TOGETHER]
        programs = loads(format_tree(vocabulary.file([program.tree for program in some])))
        by_name = {program.name.rpartition(".")[2]: program for program in programs.programs}
        for one in some:
            yield one, by_name[one.tree.name], programs


@dataclass
class Pool:
    """Different functions of states, and how often each occurred.

    Attributes:
        states: one of each function. counts: how often it was met.
        programs: how many there were. left_out: states that do not fit the core, or are too large to train on.
    """

    config: InterpreterConfig
    states: list[State] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    programs: int = 0
    left_out: int = 0
    known: dict[bytes, int] = field(default_factory=dict)

    def add(self, plan: Plan) -> None:
        """Count the functions of a program's states."""
        self.programs += 1
        for state in filter(deciding, plan.states):
            large = len(state.outcome_M) > LARGEST or len(state.outcomes) > self.config.outcomes
            wide = any(argument.palette for outcome in state.outcomes for argument in outcome.computed)
            if large or wide or len(state.inputs) > self.config.inputs:
                self.left_out += 1
                continue
            key = function_key(state)
            if key not in self.known:
                self.known[key] = len(self.states)
                self.states.append(state)
                self.counts.append(0)
            self.counts[self.known[key]] += 1


def function_key(state: State | Step) -> bytes:
    """The same for two states that decide alike, whatever their outcomes stand for."""
    digest = hashlib.sha256(str(state.seen_MR.shape).encode())
    for part in (state.seen_MR, state.outcome_M, state.value_M):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.digest()


def draw_pool(
    config: InterpreterConfig,
    worlds: Mapping[str, Vocabulary],
    *,
    each: int,
    seed: int,
    say: Say = lambda done, total, world: None,
    stop: Callable[[], bool] = lambda: False,
) -> Pool:
    """Draw ``each`` programs of each size in each world, without the held-out ones.

    Raises ``InterruptedError`` where ``stop`` says so.
    """
    pool, total = Pool(config), len(worlds) * len(SIZES) * each
    for number, (name, vocabulary) in enumerate(worlds.items()):
        held = {program.hash for program in held_programs(vocabulary)}
        generator = np.random.default_rng([seed, number])
        drawn: list[GeneratedProgram] = []
        for program in stream(vocabulary, dict.fromkeys(SIZES, each), generator=generator, exclude=held):
            drawn.append(program)
            if len(drawn) % 50 == 0:
                say(number * len(SIZES) * each + len(drawn), total, name)
                if stop():
                    raise InterruptedError
        for _, one, programs in checked(vocabulary, drawn):
            try:
                pool.add(plan_of(one, programs.table))
            except ValueError:
                pool.left_out += 1  # one that looks at too much at once
    return pool
