"""The cores of learners as a kind of core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from envs.spec import ProgramTable, WorldSpec
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.fingerprint import learner_outputs
from npi.learners.interface import learner_of, steps_of
from npi.learners.stepper import LearnerStepper
from npi.library.kinds import CoreKind, refused
from npi.library.library import Library


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> LearnerProgramCore:
    return LearnerProgramCore(learner_of(config["kind"]).config.from_json(config), worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> LearnerStepper:
    names = {number: table.signatures[number].name for number in programs}
    texts = {program.name: program for held in library.texts_of(names.values()) for program in held.signals}
    rows = {n: library.memory.embeddings_NP[row] for n, row in library.program_rows(table, programs).items()}
    steps = {number: steps_of(texts[name]) for number, name in names.items()}
    return LearnerStepper(learner_program_core(library.core), table, rows, steps, world=library.world(table.world))


BODIES = (
    "the library's core is a learner's, for programs with a signal, and these have bodies; name another --library, or "
    "a new folder for the universal core"
)

KIND = CoreKind(
    build=_build,
    stepper=_stepper,
    fingerprint=learner_outputs,
    compile=refused("this library cannot be compiled: a learner's core decides by numbers without end"),
    prove=refused("a learner's core learned from a signal, so there is no text to compare its rows with"),
    uncertified=lambda core: "a certificate lists the states of a core, and a learner's have no end of values",
    settings=refused(BODIES),
    learn=refused(BODIES),
    row_text=lambda core: f"{core.row_sizes[0]} in the row of each program",
)
