"""Rows as goods: a *pack* is the rows that were learned together, and a row file carries packs from hand to hand.

The unit is what was learned together because that is what runs together: a program and the sub-programs that came with
it may call each other, and the core computes a generation of rows as one, so a pack that travels whole decides the same
to the bit wherever it is added.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from envs.spec import WorldSpec
from npi.library.index import versions
from npi.library.library import row_names
from npi.library.manifest import LibraryError, sha256
from npi.library.program_files import Held
from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.library.wiring import SEAL, seal
from npi.program_memory import RowInfo

FORMAT = 1
"""Version of the row file's format; another one is refused."""

DECLARED = 2
"""The format for rows of a universal core, whose worlds and wiring travel with them; all but numbers is folded."""

SUFFIX = ".npirow"
KIND = "npi rows"
EMBEDDINGS = "embeddings_NP"
PARTS = ("keys_NK", EMBEDDINGS, "gates_NF")
MAX_ROW_WIDTH = 1 << 20  # numbers of a row that a row file may pad to
CALLEE = 16  # digits of a callee's version in a file; all of the first generation are vouched for by a whole hash
MAX_TEXT_BYTES = 1 << 26  # bytes of program texts that a row file may unfold to


@dataclass(frozen=True)
class Pack:
    """Rows that were learned together.

    Attributes:
        infos: what is known about each; their generations are those of the library that the pack comes from.
        numbers: of each part of a program memory, by name, these rows.
        sees: digests of the packs whose rows these may call, beside their own and the core's first ones.
        needs: rows that their program files name beside their own: name → version, or the beginning of one.
        texts: the program files that they were learned from, if they were learned from files.
        entry: the library's history of how they were learned.
        worlds: beside a universal core the declarations of their worlds, by the index that the infos give; there is
            none beside another core, whose worlds are its own.
    """

    infos: tuple[RowInfo, ...]
    numbers: Mapping[str, torch.Tensor]
    sees: tuple[str, ...] = ()
    needs: Mapping[str, str] | None = None
    texts: tuple[Held, ...] = ()
    entry: Mapping[str, Any] | None = None
    worlds: Mapping[int, WorldSpec] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(info.name for info in self.infos)

    @cached_property
    def versions(self) -> dict[str, str]:
        """For each row, by name, the sha256 of its numbers."""
        return dict(zip(self.names, row_versions(self.numbers), strict=True))

    @cached_property
    def digest(self) -> str:
        """sha256 of names, arguments and numbers: what makes two packs the same."""
        return pack_digest(self.infos, self.versions, self.worlds)


def row_versions(numbers: Mapping[str, torch.Tensor]) -> list[str]:
    """For each row of a memory's numbers, their sha256."""
    return versions(*(numbers[name].detach().cpu().numpy() for name in PARTS))


def pack_digest(infos: Iterable[RowInfo], found: Mapping[str, str], worlds: Mapping[int, WorldSpec]) -> str:
    """See :attr:`Pack.digest`; ``found`` are versions by name. A declared world counts by its hash, not its index."""
    places = {index: spec.digest for index, spec in worlds.items()}
    rows = [
        [i.name, places.get(i.world, i.world), [list(slot.tokens) for slot in i.signature.slots], found[i.name]]
        for i in infos
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True)
class RowFile:
    """Packs in a file, in an order in which each comes after those that it calls.

    Attributes:
        core: sha256 of the core that the rows were learned for.
        first: digest of the rows that were trained with it.
        worlds: for each index of a world, its sha256 and its name.
        engine: version that wrote it.
    """

    core: str
    first: str
    worlds: Mapping[int, tuple[str, str]]
    packs: tuple[Pack, ...]
    engine: str
    place: str = "the row file"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for pack in self.packs for name in pack.names)

    @property
    def numbers(self) -> int:
        """How many numbers are written: all, but for the zeros at the end of a universal core's rows."""
        if any(pack.worlds for pack in self.packs):
            return sum(sum(trimmed(pack.numbers[EMBEDDINGS])[0]) for pack in self.packs)
        return sum(part.numel() for pack in self.packs for part in pack.numbers.values())

    def save(self, path: Path | str) -> int:
        """Write the file, whole or not at all; how many bytes it has."""
        data = self.data()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), data)
        return len(data)

    def data(self) -> bytes:
        """The bytes of the file: the numbers, the texts folded by zlib, and JSON about them under one hash."""
        texts = {sha256(t.encode()): t for pack in self.packs for held in pack.texts for _, t in held.sources}
        head = {"kind": KIND, "engine": self.engine, "core": self.core, "first": self.first}
        packs = [_about(pack) for pack in self.packs]
        specs = {str(index): spec.to_json() for pack in self.packs for index, spec in pack.worlds.items()}
        if specs:
            rows = torch.cat([pack.numbers[EMBEDDINGS] for pack in self.packs])
            counts, numbers = trimmed(rows)
            parts = {"texts": texts, "worlds": specs, "packs": packs, "counts": counts, "width": rows.shape[1]}
            return tensors_bytes({"numbers": numbers, "folded": _folded(parts)}, head | {"format": DECLARED})
        tensors = {name: torch.cat([pack.numbers[name] for pack in self.packs]) for name in PARTS}
        worlds = {str(index): list(world) for index, world in self.worlds.items()}
        about = head | {"format": FORMAT, "worlds": worlds, "packs": packs}
        return tensors_bytes(tensors | {"texts": _folded(texts)}, about)

    @classmethod
    def open(cls, path: Path | str) -> RowFile:
        """Read a row file, its texts too; ``ValueError`` for one that is none, is damaged, or contradicts itself."""
        path = Path(path)
        if not path.is_file():
            raise LibraryError(f"there is no row file {path}; npi library pack writes one")
        tensors, about = read_tensors(path)
        if about.get("kind") != KIND:
            raise LibraryError(f"{path} is no row file; give one that npi library pack wrote")
        if about.get("format") not in (FORMAT, DECLARED):
            raise LibraryError(
                f"{path} has format {about.get('format')}, this engine reads {FORMAT} and {DECLARED}; pack the rows "
                "again with it"
            )
        try:
            if about["format"] == DECLARED:
                parts = json.loads(_unfolded(tensors["folded"].numpy().tobytes(), path))
                specs = {int(index): WorldSpec.from_json(spec) for index, spec in parts["worlds"].items()}
                worlds = {index: (spec.digest, spec.name) for index, spec in specs.items()}
                rows = padded(tensors["numbers"], parts["counts"], parts["width"])
                none = torch.zeros(len(rows), 0)
                numbers = {name: rows if name == EMBEDDINGS else none for name in PARTS}
                packs = _packs(parts["packs"], numbers, parts["texts"], specs)
            else:
                texts = json.loads(_unfolded(tensors["texts"].numpy().tobytes(), path))
                worlds = {int(index): (digest, name) for index, (digest, name) in about["worlds"].items()}
                packs = _packs(about["packs"], tensors, texts, {})
            found = cls(about["core"], about["first"], worlds, packs, about["engine"], str(path))
        except (KeyError, TypeError, IndexError, RuntimeError, zlib.error, json.JSONDecodeError) as error:
            raise LibraryError(f"{path}: part of it is missing or wrong ({error}); pack the rows again") from error
        for pack in packs:
            _check(pack, found, str(path))
        return found


def _about(pack: Pack) -> dict[str, Any]:
    rows = []
    for info in pack.infos:
        data = info.to_json()
        known = {name: data[name] for name in ("name", "world", "signature", "source", "wiring") if name in data}
        rows.append(known | {"version": pack.versions[info.name]})
    sets = [
        {"digest": held.digest, "sources": [[name, sha256(text.encode())] for name, text in held.sources]}
        for held in pack.texts
    ]
    needs = {name: version[:CALLEE] for name, version in (pack.needs or {}).items()}
    return {"rows": rows, "sees": list(pack.sees), "needs": needs, "sets": sets, "learned": pack.entry}


def trimmed(rows_NP: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """How many numbers each row has before the zeros at its end, and these numbers of all rows, one row after another.

    A universal core's rows have room for many states, and most programs have few.
    """
    told_NP = rows_NP.detach().cpu().contiguous().view(torch.int32) != 0  # −0 is another number than 0
    counts = [int(told_P.nonzero().max()) + 1 if told_P.any() else 0 for told_P in told_NP]
    parts = [row_P[:count] for row_P, count in zip(rows_NP.detach().cpu(), counts, strict=True)]
    return counts, torch.cat(parts)


def padded(numbers: torch.Tensor, counts: Sequence[int], width: int) -> torch.Tensor:
    """The inverse of :func:`trimmed`; ``IndexError`` where the numbers are not as many as it is said."""
    if not 0 <= max(counts, default=0) <= width <= MAX_ROW_WIDTH or min(counts, default=0) < 0:
        raise IndexError("it has rows of other lengths than it says")
    if numbers.shape != (sum(counts),) or numbers.dtype != torch.float32:
        raise IndexError("it has other numbers than it says")
    rows_NP = torch.zeros(len(counts), width)
    for row_P, part in zip(rows_NP, numbers.split(list(counts)), strict=True):
        row_P[: len(part)] = part
    return rows_NP


def _folded(data: object) -> torch.Tensor:
    folded = zlib.compress(json.dumps(data, sort_keys=True).encode(), 9)
    return torch.frombuffer(bytearray(folded), dtype=torch.uint8)


def _unfolded(data: bytes, path: Path) -> bytes:
    unfolding = zlib.decompressobj()
    found = unfolding.decompress(data, MAX_TEXT_BYTES)
    if unfolding.unconsumed_tail or not unfolding.eof:
        raise LibraryError(f"{path}: its program texts are cut off, or more than {MAX_TEXT_BYTES >> 20} MiB")
    return found


def _packs(
    entries: Sequence[Mapping[str, Any]],
    tensors: Mapping[str, torch.Tensor],
    texts: Mapping[str, str],
    specs: Mapping[int, WorldSpec],
) -> tuple[Pack, ...]:
    packs, first = [], 0
    if not sum(len(entry["rows"]) for entry in entries) == len(tensors[PARTS[0]]) > 0:
        raise IndexError("it has other rows than it says")
    for entry in entries:
        rows = entry["rows"]
        infos = tuple(
            RowInfo.from_json({k: v for k, v in row.items() if k != "version"} | {"generation": 1, "primitive": False})
            for row in rows
        )
        pack = Pack(
            infos,
            {name: tensors[name][first : first + len(rows)] for name in PARTS},
            tuple(entry["sees"]),
            dict(entry["needs"]),
            tuple(
                Held(tuple((name, texts[digest]) for name, digest in one["sources"]), one["digest"])
                for one in entry["sets"]
            ),
            entry["learned"],
            {i.world: specs[i.world] for i in infos if specs},
        )
        if pack.versions != {row["name"]: row["version"] for row in rows}:
            raise IndexError("its numbers are not those of their versions")
        packs.append(pack)
        first += len(rows)
    return tuple(packs)


def _check(pack: Pack, file: RowFile, path: str) -> None:
    """Raise :class:`LibraryError` unless the rows are what the program files say, and their numbers are numbers."""
    if len(set(file.names)) != len(file.names):
        double = next(name for name in file.names if file.names.count(name) > 1)
        raise LibraryError(f"{path} has two rows of one name, {double}; pack them anew, into a file each")
    if not all(bool(part.isfinite().all()) for part in pack.numbers.values()):
        raise LibraryError(f"{path}: some numbers of {', '.join(pack.names)} are not finite; learn them again")
    texts = {held.digest: held.programs for held in pack.texts}
    if not set(texts) <= {info.source for info in pack.infos}:
        raise LibraryError(f"{path} holds a program text that none of its rows was learned from; pack it again")
    for number, info in enumerate(pack.infos):
        programs = texts.get(info.source)
        hosted = programs is not None and info.name in {program.name for program in programs.signals}
        if pack.worlds and not hosted:
            _check_seal(info, pack.numbers[EMBEDDINGS][number], path)
        if info.world not in file.worlds:
            raise LibraryError(f"{path} does not say in which world {info.name} runs; pack it again")
        if programs is None:
            continue
        table = programs.table
        slots = {signature.name: signature.slots for signature in table.programs}
        if slots.get(info.name) != info.signature.slots or table.world.digest != file.worlds[info.world][0]:
            raise LibraryError(f"{path}: row {info.name} is not the program of that name in its text; pack it again")
        signals = {program.name for program in programs.signals} if pack.worlds else set()
        needed = set() if hosted else set(row_names(table, info.world, primitives=not pack.worlds)) - signals
        if not needed <= {*pack.names, *(pack.needs or ())}:
            raise LibraryError(f"{path} does not name all rows that {info.name} needs; pack it again")


def _check_seal(info: RowInfo, row_P: torch.Tensor, path: str) -> None:
    """Raise :class:`LibraryError` unless a row's numbers begin with the hash of its wiring."""
    if info.wiring is None:
        raise LibraryError(f"{path} does not say how the states of {info.name} are wired; pack it again")
    if row_P[:SEAL].tolist() != seal(info.wiring):
        raise LibraryError(
            f"{path}: the numbers of {info.name} belong to another wiring: one of the two was changed, or they are of "
            "two rows; pack it again from a library that runs it"
        )
