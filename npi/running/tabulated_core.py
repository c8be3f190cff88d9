"""A discrete core as tables that fill as configurations are met: the decisions are the core's, each made once.

A node is a program and a state code; it reads the inputs whose gates the program's row has open in that state.
What a closed gate hides cannot change a decision, so a node's entries are few, and looking one up is all that a step
costs.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from envs.spec import SLOTS, UNKNOWN
from envs.stepper import Action, Decision, Draw, Observation
from envs.steppers.decision_tables import DecisionTables, TableStepper, positions
from envs.support import mixed_radix
from npi.core.discrete import DiscreteTrunk
from npi.running.core_stepper import CoreStepper

MAX_ENTRIES = 2**18
"""Entries of one node; a core with a larger one is not tabulated."""

MAX_EAGER_ENTRIES = 2**13
"""A node of at most this many entries is filled at once, a larger one entry by entry as they are met."""


MAX_COMPILED_ENTRIES = 2**24
"""Entries of all nodes of a core that is compiled."""


class TabulatedCore(TableStepper):
    """A :class:`CoreStepper` of a discrete core on the CPU, as tables; same decisions.

    Raises ``ValueError`` where a program sees so much that its nodes would have more than :data:`MAX_ENTRIES` entries.
    """

    def __init__(self, stepper: CoreStepper) -> None:
        if not self.fits(stepper):
            raise ValueError("the core's decisions are not tabulated: a program of it sees too much, or it is no table")
        table = stepper.table
        self.stepper = stepper
        trunk = stepper.core.trunk
        assert isinstance(trunk, DiscreteTrunk)
        self.codes = 2**trunk.bits + 1
        programs = range(table.primitives, len(table))
        self.sizes = _sizes(stepper)
        strides = np.cumprod(np.concatenate([np.ones_like(self.sizes[:, :1]), self.sizes[:, :-1]], 1), 1)
        strides *= self.sizes > 1
        self.blocks = self.sizes.prod(1)
        self.tokens = [[s.tokens for s in table.signatures[program].slots] for program in programs]
        first = [0] * table.primitives + [self.codes * number for number in range(len(programs))]
        tables = DecisionTables(
            first_C=torch.tensor(first),
            base_N=torch.full((len(strides),), -1),
            stride_NF=torch.from_numpy(strides[:, :-SLOTS].copy()),
            stride_N3=torch.from_numpy(strides[:, -SLOTS:].copy()),
            position_C3V=torch.from_numpy(positions(table)),
            entry_M5=torch.empty(0, 5, dtype=torch.int64),
        )
        super().__init__(table, tables)

    @staticmethod
    def fits(stepper: CoreStepper) -> bool:
        """Whether the core can be tabulated: discrete, on the CPU, no pictures, and no program sees too much."""
        if not isinstance(stepper.core.trunk, DiscreteTrunk) or stepper.words_NSW.device.type != "cpu":
            return False
        if stepper.table.world.rendered:
            return False
        return bool((np.log2(_sizes(stepper)).sum(1) <= math.log2(MAX_ENTRIES)).all())

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
        """Look the configurations up; what is missing is asked of the core first."""
        node_B = self.tables.first_C[program_B] + hidden_BH[:, 0]
        position_B3 = self._positions(program_B, arguments_B3)
        while True:
            begun_B = self.tables.base_N[node_B] >= 0
            entry_B = torch.where(begun_B, self._entries(node_B, seen.fields_BF, position_B3), -1)
            missing_B = ~begun_B
            missing_B[begun_B] = self.tables.entry_M5[entry_B[begun_B], 0] == UNKNOWN
            if not bool(missing_B.any()):
                break
            met = torch.stack([node_B[missing_B], entry_B[missing_B]], 1).unique(dim=0).numpy()
            for node, offsets in self._begin(met[:, 0], met[:, 1]):
                self._keep(node, offsets, self.stepper.step(*self._configurations(node, offsets)))
        found_B5 = self.tables.entry_M5[entry_B]
        return Decision(Action(found_B5[:, :4]), found_B5[:, 4:])

    def fill(self, node_B: np.ndarray, entry_B: np.ndarray) -> None:
        """Ask the core: all of a node's entries where they are few, else those that are named."""
        for node, offsets in self._begin(node_B, entry_B):
            self._keep(node, offsets, self.stepper.step(*self._configurations(node, offsets)))

    def _begin(self, node_B: np.ndarray, entry_B: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Make room for nodes without entries; what to ask the core: nodes, and places among their entries."""
        base_N = self.tables.base_N.numpy()
        wanted: list[tuple[int, np.ndarray]] = []
        for node in np.unique(node_B[entry_B < 0]).tolist():
            size = int(self.blocks[node])
            base_N[node] = len(self.tables.entry_M5)
            self.tables.entry_M5 = torch.cat([self.tables.entry_M5, torch.full((size, 5), UNKNOWN)])
            if size <= MAX_EAGER_ENTRIES:
                wanted.append((node, np.arange(size)))
        known = entry_B >= 0
        for node in np.unique(node_B[known]).tolist():
            wanted.append((node, entry_B[known & (node_B == node)] - base_N[node]))
        self.version += 1
        return wanted

    def _configurations(
        self, node: int, offsets: np.ndarray
    ) -> tuple[Observation, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the core is given for these entries of a node: obs_MF, program_M, arguments_M3, code_M1."""
        number, code = divmod(node, self.codes)
        values = np.stack(mixed_radix.digits(offsets, self.sizes[node, ::-1].tolist())[::-1], 1)
        obs_MF = torch.from_numpy(values[:, :-SLOTS].copy())
        arguments_M3 = torch.zeros(len(offsets), SLOTS, dtype=torch.int64)
        for slot, tokens in enumerate(self.tokens[number]):
            arguments_M3[:, slot] = torch.tensor(tokens)[torch.from_numpy(values[:, -SLOTS + slot].copy())]
        program_M = torch.full((len(offsets),), self.table.primitives + number)
        return Observation(obs_MF), program_M, arguments_M3, torch.full((len(offsets), 1), code)

    def _keep(self, node: int, offsets: np.ndarray, decision: Decision) -> None:
        """Enter what the core decided at these places among a node's entries."""
        at_M = torch.from_numpy(self.tables.base_N.numpy()[node] + offsets)
        self.tables.entry_M5[at_M] = torch.cat([decision.call_B4, decision.hidden_BH], 1)

    def fill_all(self) -> None:
        """Fill every node that any observations can lead to; ``ValueError`` beyond :data:`MAX_COMPILED_ENTRIES`."""
        frontier = self.tables.first_C[self.table.primitives :].tolist()
        while frontier:
            base_N = self.tables.base_N.numpy()
            new = np.array([node for node in frontier if base_N[node] < 0], np.int64)
            if len(self.tables.entry_M5) + int(self.blocks[new].sum()) > MAX_COMPILED_ENTRIES:
                raise ValueError(
                    f"the tables of this core have more than {MAX_COMPILED_ENTRIES} entries; it cannot be compiled"
                )
            self.fill(new, np.full(len(new), -1))
            reached: set[int] = set()
            for node in frontier:
                number, base = node // self.codes, int(self.tables.base_N[node])
                entries = self.tables.entry_M5[base : base + int(self.blocks[node])]
                unknown = (entries[:, 0] == UNKNOWN).nonzero()[:, 0].numpy()
                if len(unknown):
                    self.fill(np.full(len(unknown), node), base + unknown)
                    entries = self.tables.entry_M5[base : base + int(self.blocks[node])]
                going = entries[entries[:, 0] >= 0, 4].unique().tolist()
                reached |= {number * self.codes + code for code in going}
            frontier = sorted(node for node in reached if self.tables.base_N[node] < 0)


def _sizes(stepper: CoreStepper) -> np.ndarray:
    """How many values of each field and slot each node tells apart; 1 where its decisions cannot depend on it.

    Nodes are the codes of each program in turn.
    """
    table, fields = stepper.table, stepper.table.world.fields
    codes = 2**stepper.core.config.bits + 1
    code_S1 = torch.arange(codes)[:, None] if stepper.words_NSW.shape[1] > 1 else torch.zeros(codes, 1).long()
    found = []
    for program in range(table.primitives, len(table)):
        slots = [len(slot.tokens) for slot in table.signatures[program].slots]
        sizes = np.array([field.size for field in fields] + slots + [1] * (SLOTS - len(slots)))
        seen_SI = stepper.seen(torch.full((codes,), program), code_S1).bool().numpy()
        found.append(np.where(seen_SI, sizes, 1))
    return np.concatenate(found) if found else np.ones((0, len(fields) + SLOTS), np.int64)
