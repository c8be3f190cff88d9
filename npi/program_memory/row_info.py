"""What is known about a row of the program memory, as libraries list it. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.spec import Signature
from envs.support.typed_json import typed


@dataclass(frozen=True)
class RowInfo:
    """What is known about a row.

    Attributes:
        name: qualified by file (``"addition.ADD"``), or ``"world<index>.<name>"`` for a primitive.
        world: index of its world in the library.
        generation: rows that were learned together. A row may call rows of its own generation, and of earlier ones.
        primitive: carried out by the world; its embedding is not used.
        source: sha256 of the program file (or the table) that it was learned from.
        sees: the earlier generations that it may call; None for every one.
        wiring: beside a universal core, how its states are wired (:mod:`npi.universal.rows`, which checks it).
    """

    name: str
    world: int
    generation: int
    signature: Signature
    primitive: bool
    source: str
    sees: tuple[int, ...] | None = None
    wiring: Any = None  # a sequence of mappings

    def to_json(self) -> dict[str, Any]:
        slots = [{"name": slot.name, "tokens": list(slot.tokens)} for slot in self.signature.slots]
        signature = {"name": self.signature.name, "slots": slots, "doc": self.signature.doc}
        data = {**vars(self), "signature": signature, "sees": self.sees}
        return {name: value for name, value in data.items() if name not in ("sees", "wiring") or value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RowInfo:
        """The inverse; :class:`envs.support.typed_json.FormatError` where it is of another form."""
        found: RowInfo = typed(cls, data)
        return found
