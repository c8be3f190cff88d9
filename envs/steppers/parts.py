"""Programs that know one part of joined worlds, in the whole: they see that part, and act in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from envs.product import Product
from envs.spec import ProgramTable, Signature, Slot
from envs.stepper import Decision, Draw, Observation, Stepper
from envs.support.lazy_torch import torch


class PartStepper:
    """A stepper for a table of a part (:func:`part_table`), in the whole (implements ``Stepper``).

    Args:
        inner: decides for the programs of the part's table; they call primitives alone.
        number: of the part.
        ids: id in the table of the whole → id in that of the part.
        size: of the table of the whole.
    """

    def __init__(self, inner: Stepper, world: Product, number: int, ids: Mapping[int, int], size: int) -> None:
        self.inner, self.world, self.number = inner, world, number
        self.width, self.dtype = inner.width, inner.dtype
        first = min(ids.values())
        self.id_N = torch.tensor([ids.get(program, first) for program in range(size)])

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
        """Of programs that are not of the part, nothing is meant."""
        if ended_B is not None:
            ended_B = ended_B[:, self.number]
        action, hidden_BH = self.inner.step(
            self.world.part_observation(self.number, seen),
            self.id_N.to(program_B.device)[program_B],
            self.world.part_tokens(self.number, arguments_B3),
            hidden_BH,
            ended_B=ended_B,
            draw=draw,
        )
        return Decision(self.world.whole_action(self.number, action), hidden_BH)


def programs_of(world: Product, number: int, table: ProgramTable) -> list[int]:
    """The programs with a signal that know one part alone, by id: they can call its primitives and nothing else."""
    own = tuple(range(world.first_call[number], world.first_call[number + 1]))
    return [n for n, calls in enumerate(table.calls, start=table.primitives) if calls == own]


def part_table(world: Product, number: int, table: ProgramTable, programs: Sequence[int]) -> ProgramTable:
    """These programs of a table of joined worlds, as a table of one part."""
    spec = world.parts[number].spec
    every = tuple(range(len(spec.primitives)))

    def of_part(signature: Signature) -> Signature:
        slots = (Slot(s.name, tuple(spec.token(table.world.tokens[t]) for t in s.tokens)) for s in signature.slots)
        return replace(signature, slots=tuple(slots))

    return ProgramTable(spec, tuple(of_part(table.signatures[n]) for n in programs), tuple(every for _ in programs))
