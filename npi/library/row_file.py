"""Row packages: the rows that were learned together, and the files that carry packages from library to library.

The unit is what was learned together because that is what runs together: a program and the sub-programs that came with
it may call each other, and the core computes a generation of rows as one, so a package that travels whole decides
bit-identically wherever it is added.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from envs.spec import WorldSpec
from envs.support.typed_json import FormatError, is_version, read_json
from npi.library.index import versions as versions_of
from npi.library.manifest import LibraryError, check_entry, sha256
from npi.library.program_files import Held
from npi.library.tensor_files import check_tensors, read_tensors, tensors_bytes, write_whole
from npi.library.wiring import SEAL, seal
from npi.program_memory import RowInfo

FORMAT = 3
"""Version of the row file's format; another one is refused."""

SUFFIX = ".npirow"
KIND = "npi rows"
EMBEDDINGS = "embeddings_NP"
PARTS = ("keys_NK", EMBEDDINGS, "gates_NF")
MAX_ROW_WIDTH = 1 << 20  # parameters of a row that a row file may pad to
CALLEE_DIGITS = 16  # of a callee's version in a file; all of the first generation are vouched for by a whole hash
MAX_TEXT_BYTES = 1 << 26  # that the JSON of a row file, program texts included, may unfold to


@dataclass(frozen=True)
class RowPackage:
    """Rows that were learned together.

    Attributes:
        infos: what is known about each; generations and indices of worlds are those of the library that it is from.
        parameters: of each part of a program memory, by name, these rows.
        worlds: of these rows, by index.
        sees: digests of the packages whose rows these may call, beside their own and those trained with the core.
        needs: programs that their files name beside their own: name → version, or the beginning of one.
        texts: the program files that they were learned from, if they were learned from files.
        entry: the library's history of how they were learned.
    """

    infos: tuple[RowInfo, ...]
    parameters: Mapping[str, torch.Tensor]
    worlds: Mapping[int, WorldSpec]
    sees: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[Held, ...] = ()
    entry: Mapping[str, Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(info.name for info in self.infos)

    @cached_property
    def versions(self) -> dict[str, str]:
        """For each row, by name, the sha256 of its parameters."""
        return dict(zip(self.names, row_versions(self.parameters), strict=True))

    @cached_property
    def digest(self) -> str:
        """sha256 of names, worlds, arguments and parameters: what makes two packages the same."""
        worlds = {index: spec.digest for index, spec in self.worlds.items()}
        rows = [
            [i.name, worlds[i.world], [list(slot.tokens) for slot in i.signature.slots], self.versions[i.name]]
            for i in self.infos
        ]
        return sha256(json.dumps(rows).encode())


def row_versions(parameters: Mapping[str, torch.Tensor]) -> list[str]:
    """For each row of a memory's parameters, their sha256."""
    return versions_of(*(parameters[name].detach().cpu().numpy() for name in PARTS))


@dataclass(frozen=True)
class RowFile:
    """Packages in a file, in an order in which each comes after those that it calls: sha256 of the core that they were
    learned for, digest of the rows that were trained with it, and the version that wrote it."""

    core: str
    first: str
    packages: tuple[RowPackage, ...]
    engine: str
    place: str = "the row file"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for package in self.packages for name in package.names)

    @property
    def rows_NX(self) -> torch.Tensor:
        """All rows, their parts side by side."""
        return torch.cat([torch.cat([p.parameters[name] for name in PARTS], 1) for p in self.packages]).detach().cpu()

    @property
    def parameters(self) -> int:
        return sum(trimmed(self.rows_NX)[0])

    def save(self, path: Path | str) -> int:
        """Write the file, whole or not at all; how many bytes it has."""
        data = self.data()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), data)
        return len(data)

    def data(self) -> bytes:
        """The bytes of the file: the parameters, and the folded JSON of what is known about them, under one hash."""
        counts, parameters = trimmed(self.rows_NX)
        folded = {
            "texts": {sha256(t.encode()): t for p in self.packages for held in p.texts for _, t in held.sources},
            "worlds": {str(index): spec.to_json() for p in self.packages for index, spec in p.worlds.items()},
            "packages": [_about(package) for package in self.packages],
            "counts": counts,
            "widths": [self.packages[0].parameters[name].shape[1] for name in PARTS],
        }
        about = {"kind": KIND, "format": FORMAT, "engine": self.engine, "core": self.core, "first": self.first}
        return tensors_bytes({"parameters": parameters, "folded": fold(folded)}, about)

    @classmethod
    def open(cls, path: Path | str) -> RowFile:
        """Read a row file, its texts too; ``ValueError`` for one that is none, is damaged, or contradicts itself."""
        path = Path(path)
        if not path.is_file():
            raise LibraryError(f"there is no row file {path}; npi library pack writes one")

        def check(about: Any) -> None:
            if not isinstance(about, dict) or about.get("kind") != KIND:
                raise LibraryError(f"{path} is no row file; give one that npi library pack wrote")
            if not is_version(about.get("format"), FORMAT):
                raise LibraryError(
                    f"{path} has format {about.get('format')!r}, this engine reads {FORMAT}; pack the rows again"
                )

        try:
            tensors, about = read_tensors(path, Head, check)
            parts = {"parameters": (torch.float32, (None,)), "folded": (torch.uint8, (None,))}
            check_tensors(tensors, parts, finite=False)
            packages = _packages(unfold(tensors["folded"], path, Folded), tensors["parameters"])
            found = cls(about.core, about.first, packages, about.engine, str(path))
        except (FormatError, KeyError, IndexError, zlib.error) as error:
            raise LibraryError(f"{path}: part of it is missing or wrong ({error}); pack the rows again") from error
        if len(set(found.names)) != len(found.names):
            double = next(name for name in found.names if found.names.count(name) > 1)
            raise LibraryError(f"{path} has two rows of one name, {double}; pack them anew, into a file each")
        for package in packages:
            _check(package, str(path))
        return found


@dataclass(frozen=True)
class Head:
    """What a row file says first; see :class:`RowFile`."""

    kind: str
    format: int
    engine: str
    core: str
    first: str


@dataclass(frozen=True)
class RowEntry(RowInfo):
    """What is known about a row, and its version."""

    version: str = field(kw_only=True)

    @property
    def info(self) -> RowInfo:
        return RowInfo(**{name: value for name, value in vars(self).items() if name != "version"})


@dataclass(frozen=True)
class SetEntry:
    """A program file: its sha256, and (name, sha256 of the text) of each source."""

    digest: str
    sources: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PackageEntry:
    """A package; see :class:`RowPackage`."""

    rows: tuple[RowEntry, ...]
    sees: tuple[str, ...]
    needs: Mapping[str, str]
    sets: tuple[SetEntry, ...]
    learned: Mapping[str, Any] | None


@dataclass(frozen=True)
class Folded:
    """What is compressed in a row file: texts by their sha256, worlds by their index, how many parameters each row has,
    and how many numbers each of the :data:`PARTS`."""

    texts: Mapping[str, str]
    worlds: Mapping[str, WorldSpec]
    packages: tuple[PackageEntry, ...]
    counts: tuple[int, ...]
    widths: tuple[int, int, int]


def _about(package: RowPackage) -> dict[str, Any]:
    infos = [replace(info, generation=1, sees=None).to_json() for info in package.infos]
    rows = [info | {"version": package.versions[info["name"]]} for info in infos]
    sets = [
        {"digest": held.digest, "sources": [[name, sha256(text.encode())] for name, text in held.sources]}
        for held in package.texts
    ]
    needs = {name: version[:CALLEE_DIGITS] for name, version in package.needs.items()}
    return {"rows": rows, "sees": list(package.sees), "needs": needs, "sets": sets, "learned": package.entry}


def trimmed(rows_NX: torch.Tensor) -> tuple[list[int], torch.Tensor]:
    """How many parameters each row has before the zeros at its end, and these of all rows, one row after another.

    A universal core's rows have room for many states, and most programs have few.
    """
    nonzero_NX = rows_NX.contiguous().view(torch.int32) != 0  # −0 is another number than 0
    counts = [int(nonzero_X.nonzero().max()) + 1 if nonzero_X.any() else 0 for nonzero_X in nonzero_NX]
    return counts, torch.cat([row_X[:count] for row_X, count in zip(rows_NX, counts, strict=True)])


def padded(parameters: torch.Tensor, counts: Sequence[int], width: int) -> torch.Tensor:
    """The inverse of :func:`trimmed`; ``IndexError`` where the parameters are not as many as it is said."""
    if not 0 <= max(counts, default=0) <= width <= MAX_ROW_WIDTH or min(counts, default=0) < 0:
        raise IndexError("it has rows of other lengths than it says")
    if parameters.shape != (sum(counts),) or parameters.dtype != torch.float32:
        raise IndexError("it has other numbers than it says")
    rows_NX = torch.zeros(len(counts), width)
    for row_X, part in zip(rows_NX, parameters.split(list(counts)), strict=True):
        row_X[: len(part)] = part
    return rows_NX


def fold(data: object) -> torch.Tensor:
    """JSON, compressed by zlib."""
    return torch.frombuffer(bytearray(zlib.compress(json.dumps(data, sort_keys=True).encode(), 9)), dtype=torch.uint8)


def unfold(folded: torch.Tensor, path: Path, kind: Any = dict) -> Any:
    """The inverse of :func:`fold`, in its type; :class:`LibraryError` where it is cut off or too long."""
    unfolding = zlib.decompressobj()
    found = unfolding.decompress(folded.numpy().tobytes(), MAX_TEXT_BYTES)
    if unfolding.unconsumed_tail or not unfolding.eof:
        raise LibraryError(f"{path}: its program texts are cut off, or more than {MAX_TEXT_BYTES >> 20} MiB")
    return read_json(kind, found)


def _packages(folded: Folded, parameters: torch.Tensor) -> tuple[RowPackage, ...]:
    if min(folded.widths) < 0:
        raise IndexError("it has rows of other lengths than it says")
    rows_NX = padded(parameters, folded.counts, sum(folded.widths))
    sizes = [len(entry.rows) for entry in folded.packages]
    if not sum(sizes) == len(rows_NX) > 0:
        raise IndexError("it has other rows than it says")
    packages = []
    for entry, rows_MX in zip(folded.packages, rows_NX.split(sizes), strict=True):
        check_entry(entry.learned)
        package = RowPackage(
            tuple(row.info for row in entry.rows),
            dict(zip(PARTS, rows_MX.split(folded.widths, 1), strict=True)),
            {row.world: folded.worlds[str(row.world)] for row in entry.rows},
            entry.sees,
            entry.needs,
            tuple(
                Held(tuple((name, folded.texts[digest]) for name, digest in one.sources), one.digest)
                for one in entry.sets
            ),
            entry.learned,
        )
        if package.versions != {row.name: row.version for row in entry.rows}:
            raise IndexError("its numbers are not those of their versions")
        packages.append(package)
    return tuple(packages)


def _check(package: RowPackage, path: str) -> None:
    """Raise :class:`LibraryError` unless the rows are what the program files say, and their numbers are numbers."""
    if not all(bool(part.isfinite().all()) for part in package.parameters.values()):
        raise LibraryError(f"{path}: some numbers of {', '.join(package.names)} are not finite; learn them again")
    texts = {held.digest: held.programs for held in package.texts}
    if not set(texts) <= {info.source for info in package.infos}:
        raise LibraryError(f"{path} holds a program text that none of its rows was learned from; pack it again")
    for info, row_P in zip(package.infos, package.parameters[EMBEDDINGS], strict=True):
        if info.wiring is not None and row_P[:SEAL].tolist() != seal(info.wiring):
            raise LibraryError(
                f"{path}: the numbers of {info.name} belong to another wiring: one of the two was changed, or they are "
                "of two rows; pack it again from a library that runs it"
            )
        if info.source not in texts:
            continue
        programs, spec = texts[info.source], package.worlds[info.world]
        slots = {signature.name: signature.slots for signature in programs.table.programs}
        if slots.get(info.name) != info.signature.slots or programs.table.world.digest != spec.digest:
            raise LibraryError(f"{path}: row {info.name} is not the program of that name in its text; pack it again")
        signals = {program.name for program in programs.signals}
        if info.name not in signals and not slots.keys() - signals <= {*package.names, *package.needs}:
            raise LibraryError(f"{path} does not name all rows that {info.name} needs; pack it again")
