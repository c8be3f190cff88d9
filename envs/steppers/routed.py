"""Steppers that share the programs of one table, and those that see one part of joined worlds and act in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from envs.product import Product
from envs.spec import ProgramTable, Signature, Slot, WorldSpec
from envs.stepper import Action, Decision, Draw, Observation, Stepper
from envs.support.lazy_torch import torch


class Joined:
    """The programs of ``ids`` go to one stepper, all others to another; either's programs can call the other's
    (implements ``Stepper``).

    Args:
        others: decides for all programs but those. theirs: for those.
        ids: of the table.
    """

    def __init__(self, others: Stepper, theirs: Stepper, ids: Collection[int], table: ProgramTable) -> None:
        self.others, self.theirs = others, theirs
        self.width = max(others.width, theirs.width)
        exact = torch.promote_types(torch.promote_types(others.dtype, theirs.dtype), torch.float64)
        self.dtype = others.dtype if others.dtype == theirs.dtype else exact  # a node's number stays what it is
        self.mine_N = torch.tensor([number in ids for number in range(len(table))])
        rest = [number for number in range(table.primitives, len(table)) if number not in ids]
        self.stand_ins = rest[0] if rest else min(ids), min(ids)

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
        """Ask both, each about programs of its own; what they say of others' is not heard.

        A learner's core costs far more than tables do, and what it reads may have to be drawn first. So each is asked
        about its own instances alone, but on a GPU, where the host does not know which they are.
        """
        mine_B1 = self.mine_N.to(program_B.device)[program_B][:, None]
        actions, hiddens = [], []
        for stepper, is_mine, stand_in in zip((self.others, self.theirs), (False, True), self.stand_ins, strict=True):
            asked_B1 = mine_B1 == is_mine
            hidden = torch.where(asked_B1, hidden_BH[:, : stepper.width], 0).to(stepper.dtype)
            program = torch.where(asked_B1[:, 0], program_B, stand_in)
            asked = program, torch.where(asked_B1, arguments_B3, 0), hidden
            if not program_B.is_cuda:
                decision = _about_some(stepper, asked_B1[:, 0].nonzero()[:, 0], seen, *asked, ended_B, draw)
            else:
                decision = stepper.step(seen, *asked, ended_B=ended_B, draw=draw)
            actions.append(decision.action)
            wide = torch.zeros_like(hidden_BH)
            wide[:, : stepper.width] = decision.hidden_BH.to(self.dtype)
            hiddens.append(wide)
        return Decision(_chosen(mine_B1, *actions), torch.where(mine_B1, hiddens[1], hiddens[0]))


def _about_some(
    stepper: Stepper,
    index_M: torch.Tensor,
    seen: Observation,
    program_B: torch.Tensor,
    arguments_B3: torch.Tensor,
    hidden_BH: torch.Tensor,
    ended_B: torch.Tensor | None,
    draw: Draw | None,
) -> Decision:
    """Ask a stepper about the instances named; what is said of the others is zeros."""
    batch = len(program_B)
    if len(index_M) == batch:
        return stepper.step(seen, program_B, arguments_B3, hidden_BH, ended_B=ended_B, draw=draw)
    call_B4 = torch.zeros(batch, 1 + arguments_B3.shape[1], dtype=torch.int64, device=program_B.device)
    if not len(index_M):
        return Decision(Action(call_B4), hidden_BH)
    decision = stepper.step(
        seen.select(index_M), program_B[index_M], arguments_B3[index_M], hidden_BH[index_M],
        ended_B=None if ended_B is None else ended_B[index_M], draw=None if draw is None else draw.select(index_M),
    )  # fmt: skip
    call_M4, payload_MX, given_M = decision.action
    call_B4[index_M] = call_M4
    rest = [
        None if part is None else part.new_zeros(batch, *part.shape[1:]).index_copy(0, index_M, part)
        for part in (payload_MX, given_M)
    ]
    hidden_BH = hidden_BH.index_copy(0, index_M, decision.hidden_BH)
    return Decision(Action(call_B4, *rest), hidden_BH)


def _chosen(mine_B1: torch.Tensor, other: Action, own: Action) -> Action:
    call_B4 = torch.where(mine_B1, own.call_B4, other.call_B4)
    if own.payload_BX is None and other.payload_BX is None:
        return Action(call_B4)
    parts = [(own, mine_B1[:, 0]), (other, ~mine_B1[:, 0])]
    given_B = torch.zeros_like(mine_B1[:, 0])
    for action, is_its_B in parts:
        if action.payload_BX is not None:
            given_B = given_B | (is_its_B if action.given_B is None else is_its_B & action.given_B)
    one_BX, two_BX = (part.payload_BX for part in (own, other))
    if one_BX is None or two_BX is None:
        return Action(call_B4, two_BX if one_BX is None else one_BX, given_B)
    return Action(call_B4, torch.where(mine_B1, one_BX, two_BX), given_B)


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
    """The programs with a signal that know one part alone, by id: they can call its primitives, but those of setup, and
    nothing else."""
    own = tuple(world.first_call[number] + n for n in learned_calls(world.parts[number].spec))
    return [n for n, calls in enumerate(table.calls, start=table.primitives) if calls == own]


def learned_calls(spec: WorldSpec) -> list[int]:
    """The primitives that a program with a signal chooses from, by id: all but those of setup."""
    return [number for number, primitive in enumerate(spec.primitives) if not primitive.setup]


def part_table(world: Product, number: int, table: ProgramTable, programs: Sequence[int]) -> ProgramTable:
    """These programs of a table of joined worlds, as a table of one part."""
    spec = world.parts[number].spec
    every = tuple(learned_calls(spec))

    def of_part(signature: Signature) -> Signature:
        slots = (Slot(s.name, tuple(spec.token(table.world.tokens[t]) for t in s.tokens)) for s in signature.slots)
        return replace(signature, slots=tuple(slots))

    return ProgramTable(spec, tuple(of_part(table.signatures[n]) for n in programs), tuple(every for _ in programs))
