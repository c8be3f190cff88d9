"""The cores of learners as a kind of core: what runs their programs, and what shows that a row is unchanged.

Shape legend: ``B`` instances, or random configurations, ``N`` ids of a table, ``H`` hidden numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch

from envs.spec import RETURN, SLOTS, ProgramTable, WorldSpec
from envs.stepper import Action, Decision, Draw, Observation, Ragged
from npi.learners.core import LearnerProgramCore, learner_program_core
from npi.learners.encoded_episodes import EncodedEpisodes
from npi.learners.interface import LearnerCore, TaskInput, learner_of, steps_of
from npi.library.kinds import CoreKind, refused
from npi.library.library import Library
from npi.program_memory import ProgramMemory

CONFIGURATIONS = 64
"""Of each row; in worlds with real-valued channels, which can be large, there are four."""


def _build(config: Mapping[str, Any], worlds: Sequence[WorldSpec], *, generator: torch.Generator) -> LearnerProgramCore:
    return LearnerProgramCore(learner_of(config["kind"]).config.from_json(config), worlds, generator=generator)


def _stepper(library: Library, table: ProgramTable, programs: Sequence[int], *, memo: bool) -> LearnerStepper:
    names = {number: table.signatures[number].name for number in programs}
    texts = {program.name: program for held in library.texts_of(names.values()) for program in held.signals}
    rows = {n: library.memory.embeddings_NP[row] for n, row in library.program_rows(table, programs).items()}
    steps = {number: steps_of(texts[name]) for number, name in names.items()}
    return LearnerStepper(learner_program_core(library.core), table, rows, steps, world=library.world(table.world))


@final
class LearnerStepper:
    """Runs rows of a learner's core for some programs of a table (implements ``Stepper``).

    The first of its hidden numbers counts the steps of a frame; a program returns when it has taken all of its own, or
    where the world has come to an end. What stays as it is along an episode is kept beside the frames.

    Args:
        rows: for each of its programs, by id, the row's parameters. steps: how long each acts at most.
        world: index of the table's world in the core.
    """

    def __init__(
        self,
        core: LearnerProgramCore,
        table: ProgramTable,
        rows: Mapping[int, torch.Tensor],
        steps: Mapping[int, int],
        *,
        world: int,
    ) -> None:
        self.net, self.spec, self.world = core.net, table.world, world
        self.episodes = EncodedEpisodes(self.net) if self.net.constant_hidden else None
        self.width = 1 if self.episodes else 1 + self.net.hidden_size(self.spec)
        self.dtype = torch.float32
        self.encodes = type(self.net).begin is not LearnerCore.begin
        device = next(iter(rows.values())).device
        self.row_NP = torch.zeros(len(table), core.config.row, device=device)
        self.steps_N = torch.zeros(len(table), device=device)
        for number, row_P in rows.items():
            self.row_NP[number] = row_P.detach()
            self.steps_N[number] = steps[number]

    @torch.no_grad()
    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        """The next action, or a return; programs that are not its own return at once."""
        count_B1, own_BH = hidden_BH[:, :1], hidden_BH[:, 1:]
        acts_B = count_B1[:, 0] < self.steps_N[program_B]
        if ended_B is not None:
            acts_B = acts_B & ~(ended_B if ended_B.dim() == 1 else ended_B.all(1))
        return_4 = torch.tensor([RETURN, 0, 0, 0], device=program_B.device)
        if not (hidden_BH.is_cuda or bool(acts_B.any())):  # a network costs far more than to look
            payload_BX = torch.zeros(len(acts_B), self.spec.payload_width) if self.spec.payload_width else None
            return Decision(Action(return_4.expand(len(acts_B), -1), payload_BX), torch.cat([count_B1 + 1, own_BH], 1))
        task = TaskInput(self.spec, self.world, self.row_NP[program_B], arguments_B3)
        if self.episodes is not None:
            given_BH = self.episodes.hidden(task, seen, program_B)
            action = self.net.step(task, seen, given_BH, draw=draw if self.net.samples else None).action
        else:
            if self.encodes and (hidden_BH.is_cuda or bool((count_B1 == 0).any())):
                own_BH = torch.where(count_B1 == 0, self.net.begin(task, seen), own_BH)
            action, own_BH, _ = self.net.step(task, seen, own_BH, draw=draw if self.net.samples else None)
        call_B4 = torch.where(acts_B[:, None], action.call_B4, return_4)
        return Decision(Action(call_B4, action.payload_BX), torch.cat([count_B1 + 1, own_BH], 1))


@torch.no_grad()
def learner_outputs(
    core: LearnerProgramCore, memory: ProgramMemory, rows: Sequence[int], *, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Actions, hidden numbers and extras of each of these rows, in configurations that are the same at each call."""
    found: dict[str, torch.Tensor] = {}
    device = memory.embeddings_NP.device
    for row in rows:
        info = memory.infos[row]
        spec = core.worlds[info.world]
        generator = torch.Generator().manual_seed(seed)
        seen = random_observation(spec, generator, device)
        B = len(seen.fields_BF)
        hidden_BH = torch.rand(B, core.net.hidden_size(spec), generator=generator).to(device)
        arguments_B3 = torch.zeros(B, SLOTS, dtype=torch.int64, device=device)
        task = TaskInput(spec, info.world, memory.embeddings_NP[row].detach().expand(B, -1), arguments_B3)
        step = core.net.step(task, seen, hidden_BH)
        parts = {"call": step.action.call_B4, "payload": step.action.payload_BX, "hidden": step.hidden_BH}
        found |= {f"{info.name}.{name}": part for name, part in {**parts, **step.extras}.items() if part is not None}
    return found


def random_observation(spec: WorldSpec, generator: torch.Generator, device: torch.device) -> Observation:
    """Fields and channels at random; those that are functions of fields are left out."""
    channels = [channel for channel in spec.channels if not channel.fields]
    count = 4 if channels else CONFIGURATIONS
    columns = [torch.randint(field.size, (count,), generator=generator) for field in spec.fields]
    drawn: dict[str, torch.Tensor | Ragged] = {}
    for channel in channels:
        shape = [count if size is None else size for size in channel.shape]
        number_B = torch.randn(count, *shape, generator=generator).to(device)
        lengths_B = torch.arange(1, 1 + count, device=device)
        drawn[channel.name] = Ragged(number_B, lengths_B) if channel.ragged else number_B
    fields_BF = torch.stack(columns, 1) if columns else torch.zeros(count, 0, dtype=torch.int64)
    return Observation(fields_BF.to(device), drawn)


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
