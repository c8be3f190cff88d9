"""What rows a library has, read from its folder without torch and without parsing a program text: quick for thousands.

A row's *version* is the sha256 of its numbers, so two rows are the same where their versions are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from envs.support.typed_json import FormatError
from npi.library.manifest import LibraryError, checked, whole
from npi.library.members import Member, located, members
from npi.library.program_files import Held, held_texts, named
from npi.library.wiring import Wiring, functions

DIGITS = 12
"""Digits of a version that are shown."""


@dataclass(frozen=True)
class Card:
    """What is known about a row (see :class:`npi.program_memory.RowInfo`).

    Attributes:
        arguments: names of its slots. calls: of what its text calls; empty where it was learned from traces alone.
        version: sha256 of its numbers. numbers: how many they are; learned_numbers: how many were learned.
        file: the program file that it was learned from, if there is one. source: its sha256.
    """

    name: str
    arguments: tuple[str, ...]
    doc: str
    calls: tuple[str, ...]
    version: str
    numbers: int
    learned_numbers: int
    file: str
    source: str
    world: str
    generation: int
    primitive: bool
    wiring: Wiring | None = None

    @property
    def call(self) -> str:
        """``strip.MOVE(d)``."""
        return f"{self.name}({', '.join(self.arguments)})" if self.arguments else self.name


@dataclass(frozen=True)
class Listing:
    """What a library holds: sha256, kind and sizes of its core, its rows in order of their generations, its program
    files, and what was done to it; its label beside others, and the names that it leaves to another member."""

    core: str
    config: Mapping[str, Any]
    cards: tuple[Card, ...]
    held: tuple[Held, ...]
    history: tuple[Mapping[str, Any], ...]
    label: str = ""
    yields: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.config["kind"])

    @property
    def programs(self) -> list[Card]:
        return [card for card in self.cards if not card.primitive]

    def one(self, name: str) -> Card:
        """A program's row by its qualified name, or by its bare name where one file only has it."""
        found = named(name, [card.name for card in self.programs])
        return next(card for card in self.cards if card.name == found)


def listing(folder: Path | str, *, program: str = "", core: str | None = None) -> Listing:
    """Read a library's folder, or the member of a collection that has a program, or has a core.

    Raises :class:`LibraryError` where it is none, or is damaged, or nothing says which member (see
    :func:`npi.library.members.located`).
    """
    folder = Path(folder)
    return whole(folder, lambda: _listed(located(folder, program=program or (), core=core)))


def listings(folder: Path | str) -> tuple[Listing, ...]:
    """Read a library's folder, or all members of a collection."""
    folder = Path(folder)
    return whole(folder, lambda: tuple(map(_listed, members(folder))))


def _listed(member: Member) -> Listing:
    folder, manifest = member.place, member.manifest
    assert manifest is not None
    data = {name: checked(folder, name, digest) for name, digest in manifest.files.items()}
    try:
        (numbers,) = [part for name, part in data.items() if name.startswith("rows-")]
        versions, count = _versions(numbers)
        held = tuple(held_texts(manifest, data, folder))
        files = {one.digest: one.file for one in held}
        calls = {name: called for one in reversed(held) for name, called in one.calls.items()}
        config = manifest.config
        learned = config.get("code", 0) + config.get("features", 0)  # of each function of a universal core
        cards = tuple(
            Card(
                name=row.name,
                arguments=tuple(slot.name for slot in row.signature.slots),
                doc=row.signature.doc,
                calls=tuple(calls.get(row.name, ())),
                version=version,
                numbers=count,
                learned_numbers=functions(row.wiring) * learned if row.wiring is not None else count,
                file=files.get(row.source, ""),
                source=row.source,
                world=manifest.worlds[row.world].name,
                generation=row.generation,
                primitive=row.primitive,
                wiring=row.wiring,
            )
            for row, version in zip(manifest.rows, versions, strict=True)
        )
        return Listing(
            manifest.core, manifest.config, cards, held, tuple(manifest.history), member.label, member.yields
        )
    except LibraryError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise LibraryError(f"{folder}: manifest and files do not fit each other ({error}); restore it") from error


def _versions(data: bytes) -> tuple[list[str], int]:
    parts = load(data)
    rows = [parts.pop(name) for name in ("keys_NK", "embeddings_NP", "gates_NF")]
    if parts or not all(part.ndim == 2 and part.dtype == np.float32 and len(part) == len(rows[0]) for part in rows):
        raise FormatError("the rows are not three tables of float32 numbers")
    return versions(*rows), sum(part.shape[1] for part in rows)


def versions(
    keys_NK: npt.NDArray[np.float32], embeddings_NP: npt.NDArray[np.float32], gates_NF: npt.NDArray[np.float32]
) -> list[str]:
    """For each row, sha256 over how many numbers each part has and their bytes (float32, the lowest byte first)."""
    parts = [np.ascontiguousarray(part, dtype="<f4") for part in (keys_NK, embeddings_NP, gates_NF)]
    head = ",".join(str(part.shape[1]) for part in parts).encode()
    rows = np.concatenate(parts, axis=1)
    return [hashlib.sha256(head + row.tobytes()).hexdigest() for row in rows]


@dataclass(frozen=True)
class Difference:
    """How the rows of two libraries differ; all empty and both true where they do not.

    Attributes:
        core: whether the core is the same. first: whether the rows that were trained with it are.
        only_first, only_second: rows that one of them has. other: rows of one name and different versions, in pairs.
    """

    core: bool
    first: bool
    only_first: tuple[Card, ...]
    only_second: tuple[Card, ...]
    other: tuple[tuple[Card, Card], ...]

    @property
    def same(self) -> bool:
        return self.core and not (self.only_first or self.only_second or self.other)


def difference(first: Listing, second: Listing) -> Difference:
    """Compare two libraries, row by row."""
    ours, theirs = ({card.name: card for card in one.cards} for one in (first, second))
    both = [(ours[name], theirs[name]) for name in ours if name in theirs]
    trained = [[(c.name, c.version) for c in one.cards if c.generation == 0] for one in (first, second)]
    return Difference(
        core=first.core == second.core,
        first=trained[0] == trained[1],
        only_first=tuple(card for name, card in ours.items() if name not in theirs),
        only_second=tuple(card for name, card in theirs.items() if name not in ours),
        other=tuple((a, b) for a, b in both if (a.version, a.arguments) != (b.version, b.arguments)),
    )
