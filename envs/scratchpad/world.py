"""The scratch pad of NPI section 4.1, generalised: rows of cells, pointers on them, one primitive ``ACT``.

What calls do stands in :mod:`envs.scratchpad.actions`. The observation is the symbol under
each pointer, for a pointer on a list whether it stands on the first or the last cell, and for declared pairs of
pointers which of them is before the other.

Shape legend: ``B`` instances, ``R`` rows, ``P`` pointers, ``W`` columns of storage, ``F`` fields, ``C`` combinations
of (pointer, action, operand). All cells of a batch lie in one flat tensor and a pointer is an address in it, so an
observation is one gather and an act one scatter.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from envs.scratchpad.actions import ACTIONS, EXCHANGE, SYMBOL
from envs.scratchpad.ascii_art import BLANK_CELL, DrawnRow, draw_rows
from envs.scratchpad.config import COMPARED, KIND, NOWHERE, PadConfig, PointerConfig, RowConfig, Side, acts_of, pad_spec
from envs.scratchpad.jumps import jump, jump_table, reach
from envs.scratchpad.layout import fill, lay
from envs.stepper import Action, Observation
from envs.support import mixed_radix
from envs.support.lazy_torch import torch
from envs.world import Given, Layout, check_given

__all__ = ["ACTIONS", "KIND", "NOWHERE", "PadConfig", "PadState", "PointerConfig", "RowConfig", "Scratchpad", "Side"]

NOTHING = -1
"""The symbol of a combination that writes none."""

MIN_ROOM = 16
"""Storage grows where a pointer comes closer than this to its edge, and by at least twice this."""


@dataclass
class PadState:
    """The pads of a batch. Made by :meth:`Scratchpad.reset`; :meth:`Scratchpad.act` changes it in place.

    Attributes:
        cells: int16, flat ``B * R * W``: the index of the symbol in its row's values. int32 where a row holds places,
            whose columns count from column 0 of the input.
        at_BP: int64, the address in ``cells`` at which each pointer stands.
        low_BP, high_BP: int64, the lowest and highest address that each pointer may have.
        length_BR: int64, cells of each list; 0 for endless rows.
        width: W.
        origin: the column of storage that holds column 0 of the input.
        slack: acts that can be performed before a pointer could step over the edge of the storage.
    """

    cells: torch.Tensor
    at_BP: torch.Tensor
    low_BP: torch.Tensor
    high_BP: torch.Tensor
    length_BR: torch.Tensor
    width: int
    origin: int
    slack: int

    @property
    def batch(self) -> int:
        return self.at_BP.shape[0]

    @property
    def device(self) -> torch.device:
        return self.cells.device

    @property
    def cells_BRW(self) -> torch.Tensor:
        return self.cells.view(*self.length_BR.shape, self.width)

    def select(self, index_B: torch.Tensor) -> PadState:
        index_B = index_B.to(self.device)
        place_B = torch.arange(index_B.shape[0], device=self.device)
        moved_B1 = ((place_B - index_B) * self.length_BR.shape[1] * self.width)[:, None]
        return PadState(
            cells=self.cells_BRW.index_select(0, index_B).flatten(),
            at_BP=self.at_BP.index_select(0, index_B) + moved_B1,
            low_BP=self.low_BP.index_select(0, index_B) + moved_B1,
            high_BP=self.high_BP.index_select(0, index_B) + moved_B1,
            length_BR=self.length_BR.index_select(0, index_B),
            width=self.width,
            origin=self.origin,
            slack=self.slack,
        )

    def spend(self, acts: int) -> None:
        self.slack -= acts


@dataclass(frozen=True)
class PadTables:
    """What every combination of (pointer, action, operand) does, on one device.

    Combination 0 is refused and does nothing: calls outside the signature and inactive ones are sent there.

    Attributes:
        low_4, high_4: the range of each part of a call.
        stride_4: a call times the strides, summed, is its combination.
        legal_C: bool.
        step_CP: int64, by how much each pointer moves.
        pair_C2: int64, the two pointers whose cells are exchanged; pointer 0 twice where none are.
        symbol_C1: of the cells' type, what both of the pair receive instead, or :data:`NOTHING`.
        row_P: int64, each pointer's row.
        listed_P: bool, whether the pointer stands on a list.
        seen, listed, endless: int64, indices of the pointers that see, stand on a list, stand on an endless row.
        fill_R: of the cells' type, what an untouched cell holds.
        places_S: bool, which of the pointers that see stand on a row of places.
        compared: int64 (2 × pairs), the pointers that are compared.
        jumps_C6: int64, what combinations do beyond stepping (:func:`envs.scratchpad.jumps.jump_table`).
    """

    low_4: torch.Tensor
    high_4: torch.Tensor
    stride_4: torch.Tensor
    legal_C: torch.Tensor
    step_CP: torch.Tensor
    pair_C2: torch.Tensor
    symbol_C1: torch.Tensor
    row_P: torch.Tensor
    listed_P: torch.Tensor
    seen: torch.Tensor
    listed: torch.Tensor
    endless: torch.Tensor
    fill_R: torch.Tensor
    places_S: torch.Tensor
    compared: torch.Tensor
    jumps_C6: torch.Tensor

    def to(self, device: torch.device) -> PadTables:
        return PadTables(**{name: part.to(device) for name, part in vars(self).items()})


class Scratchpad:
    """A world of rows and pointers (implements ``World[PadState]``); see the head of this file.

    ``config`` may be a mapping for :meth:`PadConfig.from_json`.
    """

    def __init__(self, name: str, config: PadConfig | Mapping[str, Any]) -> None:
        self.config = config if isinstance(config, PadConfig) else PadConfig.from_json(config)
        self.spec = pad_spec(name, KIND, self.config)
        self._tables: dict[torch.device, PadTables] = {}
        self._all_see = len(self.config.seen) == len(self.config.pointers)
        self._all_listed = len(self.config.listed) == len(self.config.pointers)
        self._any_listed = bool(self.config.listed)
        self._places = [r for r, row in enumerate(self.config.rows) if row.places]

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> PadState:
        """Pads in which each row holds the given symbols in columns 0, 1, …; rows not mentioned are empty."""
        check_given(self.spec, given, len(layouts))
        laid = lay(self.config, layouts)
        width = laid.cells_BRW.shape[2]
        length_BR = torch.from_numpy(laid.length_BR).to(device)
        column_BP = torch.from_numpy(laid.column_BP).to(device) + laid.margin
        at_BP, low_BP, high_BP = self._addresses(column_BP, length_BR, width, laid.margin)
        cells = torch.from_numpy(laid.cells_BRW).to(device).flatten()
        slack = sys.maxsize if self._all_listed else laid.margin
        return PadState(cells, at_BP, low_BP, high_BP, length_BR, width, laid.margin, slack)

    def observe(self, state: PadState) -> Observation:
        """obs_BF, int64: the symbol under each pointer that sees, first and last of those on a list, comparisons."""
        tables = self._on(state.device)
        at_BP = state.at_BP
        seen = state.cells.take(at_BP if self._all_see else at_BP.index_select(1, tables.seen))
        if self._places:
            seen = torch.where(tables.places_S, (seen == NOWHERE).to(seen.dtype), seen)
        parts = [seen]
        if self._any_listed:
            edges = torch.stack((at_BP == state.low_BP, at_BP == state.high_BP), 2)
            if not self._all_listed:
                edges = edges.index_select(1, tables.listed)
            parts.append(edges.flatten(1))
        if self.config.orders:
            column_B2N = (at_BP.index_select(1, tables.compared) % state.width).unflatten(1, (2, -1))
            parts.append(torch.sign(column_B2N[:, 0] - column_B2N[:, 1]) + 1)
        return Observation(torch.cat(parts, 1).long() if len(parts) > 1 else seen.long())

    def act(self, state: PadState, action: Action, active_B: torch.Tensor) -> None:
        """Perform ``ACT`` calls where ``active_B``; anything else leaves its instance as it is (NPI algorithm 1)."""
        if state.slack == 0:
            self.make_room(state)
        state.slack -= 1
        tables = self._on(state.device)
        combination_B = self.combination(action.call_B4) * active_B
        address_B2 = state.at_BP.gather(1, tables.pair_C2.index_select(0, combination_B))
        symbol_B1 = tables.symbol_C1.index_select(0, combination_B)
        # Both of a pair receive the written symbol, or else each other's; a pointer paired with itself keeps its own.
        symbol_B2 = torch.where(symbol_B1 != NOTHING, symbol_B1, state.cells.take(address_B2.flip(1)))
        if self.config.wanders:
            chosen_B6 = tables.jumps_C6.index_select(0, combination_B)
            done = jump(chosen_B6, state.cells, state.at_BP, state.width, state.origin)
            symbol_B2 = torch.where(done.saves_B1, done.place_B1.to(symbol_B2.dtype), symbol_B2)
            state.at_BP.scatter_add_(1, done.mover_B1, done.by_B1)
        state.cells.put_(address_B2, symbol_B2)
        state.at_BP += tables.step_CP.index_select(0, combination_B)
        if self._any_listed:
            torch.clamp(state.at_BP, state.low_BP, state.high_BP, out=state.at_BP)

    def prepare(self, state: PadState, acts: int) -> bool:
        """Let the storage grow until no pointer can leave it in so many acts; True where it has grown."""
        cells = state.cells
        while state.slack < acts:
            self.make_room(state, max(MIN_ROOM, acts))
        return state.cells is not cells

    def legal(self, action: Action) -> torch.Tensor:
        """bool B: true for an ``ACT`` whose operand fits its action."""
        tables = self._on(action.call_B4.device)
        return tables.legal_C.index_select(0, self.combination(action.call_B4))

    def read(self, state: PadState) -> list[dict[str, list[int]]]:
        cells_BRW = state.cells_BRW.cpu().numpy()
        under_BP = state.cells.take(state.at_BP).tolist()
        column_BP = self._columns(state).tolist()
        rows = [(row.name, *self._contents(state, cells_BRW[:, r], r)) for r, row in enumerate(self.config.rows)]
        names = [[f"{what}({pointer.name})" for pointer in self.config.pointers] for what in ("under", "at")]
        readings: list[dict[str, list[int]]] = []
        for b in range(state.batch):
            reading: dict[str, list[int]] = {name: cells[ends[b] : ends[b + 1]] for name, cells, ends in rows}
            for under, at, cell, column in zip(*names, under_BP[b], column_BP[b], strict=True):
                reading[under], reading[at] = [cell], [column]
            readings.append(reading)
        return readings

    def close(self, state: PadState) -> None:
        """Nothing is held."""

    def _contents(self, state: PadState, cells_BW: np.ndarray, r: int) -> tuple[list[int], list[int]]:
        """A row's cells from its first symbol to its last (lists whole), of all instances, and where each one's end."""
        begin_B, end_B = self.extents(state, cells_BW, r)
        column_W = np.arange(state.width)
        inside_BW = (column_W >= begin_B[:, None]) & (column_W < end_B[:, None])
        return cells_BW[inside_BW].tolist(), np.cumsum([0, *(end_B - begin_B)]).tolist()

    def extents(self, state: PadState, cells_BW: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray]:
        """begin_B and end_B, columns of storage: a row from its first symbol to behind its last (lists whole)."""
        row = self.config.rows[r]
        begin_B = np.full(state.batch, state.origin)
        if not row.blank or not state.batch:
            return begin_B, begin_B + state.length_BR[:, r].cpu().numpy()
        filled_BW = cells_BW != row.empty
        some_B = filled_BW.any(1)
        end_B = np.where(some_B, state.width - filled_BW[:, ::-1].argmax(1), begin_B)
        return np.where(some_B, filled_BW.argmax(1), begin_B), end_B

    def draw(self, state: PadState, instance: int = 0, *, width: int = 100) -> str:
        """A line a row, below it its pointers; rows longer than ``width`` are cut around them."""
        one = state.select(torch.tensor([instance], device=state.device))
        column_P = self._columns(one)[0].tolist()
        cells_RW = one.cells_BRW[0].cpu().numpy()
        rows: list[DrawnRow] = []
        for r, row in enumerate(self.config.rows):
            (begin,), (end,) = self.extents(one, cells_RW[None, r], r)
            pointers = ((p.name, column_P[i]) for i, p in enumerate(self.config.pointers) if p.row == row.name)
            shown, values = cells_RW[r, begin:end].tolist(), (*row.symbols, BLANK_CELL)
            if row.places:
                values = tuple(BLANK_CELL if cell == NOWHERE else str(cell) for cell in shown)
                shown = list(range(len(shown)))
            rows.append(DrawnRow(row.name, values, shown, int(begin) - one.origin, row.blank, tuple(pointers)))
        return draw_rows(rows, width=width)

    def combination(self, call_B4: torch.Tensor) -> torch.Tensor:
        """int64 B: the combination of each call, a row of :class:`PadTables`; 0 where a part of it is out of range."""
        tables = self._on(call_B4.device)
        inside_B4 = torch.clamp(call_B4, tables.low_4, tables.high_4)
        return (inside_B4 * tables.stride_4).sum(1) * (inside_B4 == call_B4).all(1)

    def _addresses(
        self, column_BP: torch.Tensor, length_BR: torch.Tensor, width: int, origin: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """at_BP, low_BP and high_BP of pointers that stand in the given columns of storage."""
        tables = self._on(length_BR.device)
        batch, rows = length_BR.shape
        base_BP = (torch.arange(batch, device=length_BR.device)[:, None] * rows + tables.row_P) * width
        last_BP = length_BR.index_select(1, tables.row_P) + (origin - 1)
        low_BP = base_BP + origin * tables.listed_P
        return base_BP + column_BP, low_BP, base_BP + torch.where(tables.listed_P, last_BP, width - 1)

    def _columns(self, state: PadState) -> torch.Tensor:
        """int64 BP: the column of each pointer, counted from column 0 of the input."""
        return state.at_BP % state.width - state.origin

    def make_room(self, state: PadState, least: int = MIN_ROOM) -> None:
        """Let the storage grow at an edge that a pointer has come near (``least`` columns, or a sixteenth of all); then
        count the acts until it could again."""
        if state.batch == 0 or self._all_listed:
            state.slack = sys.maxsize
            return
        if self.config.wanders:
            left, last = reach(state.cells_BRW, state.at_BP, state.origin, self._places)
        else:
            column_BP = (state.at_BP % state.width).index_select(1, self._on(state.device).endless)
            left, last = (int(edge) for edge in torch.stack((column_BP.min(), column_BP.max())).tolist())
        right = state.width - 1 - last
        near = max(least, state.width // 16)
        more = max(2 * least, state.width // 2)
        more_left, more_right = more * (left < near), more * (right < near)
        if more_left or more_right:
            self._grow(state, more_left, more_right)
        state.slack = min(left + more_left, right + more_right)

    def _grow(self, state: PadState, left: int, right: int) -> None:
        """Add columns of untouched cells on the left and on the right of the storage."""
        column_BP = state.at_BP % state.width + left
        width = left + state.width + right
        fill_R = self._on(state.device).fill_R
        cells_BRW = fill_R[None, :, None].expand(*state.length_BR.shape, width).contiguous()
        cells_BRW[:, :, left : left + state.width] = state.cells_BRW
        state.cells, state.width, state.origin = cells_BRW.flatten(), width, state.origin + left
        state.at_BP, state.low_BP, state.high_BP = self._addresses(column_BP, state.length_BR, width, state.origin)

    def _on(self, device: torch.device) -> PadTables:
        if device not in self._tables:
            self._tables[device] = pad_tables(self.config).to(device)
        return self._tables[device]


def pad_tables(config: PadConfig) -> PadTables:
    """Tabulate the primitive of a pad."""
    names = [row.name for row in config.rows]
    rows = [names.index(pointer.row) for pointer in config.pointers]
    fill_R = torch.from_numpy(fill(config))
    pointers, vocabulary = len(config.pointers), len(config.tokens)
    first = config.first_pointer
    shape = (first + pointers, first, vocabulary)
    acts = acts_of(config)
    combination_A = mixed_radix.number(np.array(list(acts)).T, shape)

    def tabulated(values: Any, default: int = 0, dtype: Any = np.int64) -> torch.Tensor:
        """A table of all combinations from what the acts A have."""
        values_AX = np.array(values, dtype)
        table_CX = np.full((prod(shape), *values_AX.shape[1:]), default, dtype)
        table_CX[combination_A] = values_AX
        return torch.from_numpy(table_CX)

    numbers = np.arange(pointers)
    pairs = [
        (p, q) if action.writes == EXCHANGE else (p, p) if action.writes else (0, 0)
        for action, p, q, _ in acts.values()
    ]
    compared = np.array([(one, two) for kind, one, two in config.shows if kind == COMPARED], np.int64).reshape(-1, 2)
    listed_P = torch.tensor([p in config.listed for p in range(pointers)])
    return PadTables(
        low_4=torch.zeros(4, dtype=torch.int64),
        high_4=torch.tensor([0, *(size - 1 for size in shape)]),
        stride_4=torch.tensor([0, *mixed_radix.strides(shape)]),
        legal_C=tabulated([True] * len(acts), dtype=np.bool_),
        step_CP=tabulated([a.action.step * (numbers == a.pointer) for a in acts.values()]),
        pair_C2=tabulated(pairs),
        symbol_C1=tabulated(
            [[a.cell if a.action.writes == SYMBOL else NOTHING] for a in acts.values()], NOTHING, fill(config).dtype
        ),
        row_P=torch.tensor(rows),
        listed_P=listed_P,
        seen=torch.tensor(config.seen, dtype=torch.int64),
        listed=listed_P.nonzero()[:, 0],
        endless=(~listed_P).nonzero()[:, 0],
        fill_R=fill_R,
        places_S=torch.tensor([config.rows[rows[p]].places for p in config.seen], dtype=torch.bool),
        compared=torch.from_numpy(compared.T.flatten()),
        jumps_C6=tabulated(jump_table(acts.values())),
    )
