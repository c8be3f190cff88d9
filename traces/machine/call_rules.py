"""What a call does to the stack of frames, and which calls are refused, as one table lookup a batch."""

from __future__ import annotations

from typing import Any

import torch

from envs.spec import RETURN, SLOTS, ProgramTable, Signature, SpecError
from envs.stepper import Action
from envs.world import World

POP, ACT, PUSH = -1, 0, 1
"""The change of depth: a return ends its frame, a primitive keeps it, a program begins one."""

REFUSED = -(2**31)
"""The change of a call that cannot be carried out: unknown callee, token outside its slot, not legal in the world."""

MAX_CALLS = 2**22

MAX_CACHED = 16


def allowed_tokens(signature: Signature) -> list[torch.Tensor]:
    """int64: the tokens that each of the three slots of a call may hold; token 0 where a signature has no slot."""
    allowed = [torch.tensor(slot.tokens) for slot in signature.slots]
    return allowed + [torch.zeros(1, dtype=torch.int64)] * (SLOTS - len(allowed))


class CallRules:
    """Legality and effect of any four integers, tabulated once for one world and one table of callables.

    A call is refused when its callee is not an id of the table, when an argument is not among the tokens of its slot
    (a slot that the callee does not have holds token 0), or when ``world.legal`` says so. The arguments of a return
    mean nothing and are never refused.

    Attributes:
        rank_X: for each callee from -2 on, slot and token from -1 on, a number; the sum of a call's three is its place
            in ``change_X``, which for the calls of primitives is 2 and more, the last slot's tokens next to each other.

    Raises :class:`SpecError` for a primitive whose slots allow more than 4 million calls.
    """

    def __init__(self, world: World[Any], table: ProgramTable, device: torch.device | str = "cpu") -> None:
        self._tokens = len(table.world.tokens) + 2  # one more on each side, for values out of range
        rank = torch.zeros(len(table) + 3, SLOTS, self._tokens, dtype=torch.int64)
        changes = [torch.tensor([POP, PUSH])]  # code 0 a return, 1 a program, then each primitive's calls
        size = 2
        unset = -1
        rank.fill_(unset)
        rank[RETURN + 2] = 0
        for callee, signature in enumerate(table.signatures):
            allowed = allowed_tokens(signature)
            code, stride = (1, 0) if callee >= table.primitives else (size, 1)
            for slot in reversed(range(SLOTS)):
                rank[callee + 2, slot, allowed[slot] + 1] = stride * torch.arange(len(allowed[slot]))
                stride *= len(allowed[slot])
            rank[callee + 2, 0, allowed[0] + 1] += code
            if callee < table.primitives:
                if stride > MAX_CALLS:
                    raise SpecError(f"{signature.name}: its slots allow {stride} calls; declare fewer tokens a slot")
                calls = torch.cartesian_prod(torch.tensor([callee]), *allowed)
                changes.append(torch.where(world.legal(Action(calls.to(device))).cpu(), ACT, REFUSED))
                size += stride
        rank[rank == unset] = size  # any such sum lies beyond the codes
        change = torch.full(((SLOTS + 1) * size + 1,), REFUSED, dtype=torch.int64)
        change[:size] = torch.cat(changes)
        self.rank_X, self.change_X = rank.flatten().to(device), change.to(device)
        self._low = torch.tensor([RETURN - 1] + [-1] * SLOTS, device=device)
        self._high = torch.tensor([len(table)] + [self._tokens - 2] * SLOTS, device=device)
        offsets = torch.arange(SLOTS) * self._tokens + 1 + 2 * SLOTS * self._tokens
        self._offset = offsets.to(device)

    def change(self, call_B4: torch.Tensor) -> torch.Tensor:
        """change_B, int64: :data:`POP`, :data:`ACT`, :data:`PUSH` or :data:`REFUSED` for each row."""
        inside_B4 = call_B4.clamp(self._low, self._high)
        index_B3 = torch.add(inside_B4[:, 1:], inside_B4[:, :1], alpha=SLOTS * self._tokens).add_(self._offset)
        return self.change_X.take(self.rank_X.take(index_B3).sum(1))


_RULES: dict[tuple[int, int, str], tuple[World[Any], ProgramTable, CallRules]] = {}


def call_rules(world: World[Any], table: ProgramTable, device: torch.device) -> CallRules:
    """The rules of this world and this table; the last few are kept, since a short run costs less than making them."""
    key = id(world), id(table), str(device)
    if key not in _RULES:
        if len(_RULES) >= MAX_CACHED:
            del _RULES[next(iter(_RULES))]
        _RULES[key] = world, table, CallRules(world, table, device)  # what is held keeps its id
    return _RULES[key][2]
