"""A certificate: what was proved of a library's programs, in one file that :mod:`npi.proof.check_certificate` can check
by itself.

It names the core and, for each program file, the rows that its programs and primitives have, by hashes of all their
numbers. So it stays valid when rows are added (old rows cannot call new ones), and is void when one byte of those
changes. For each program it lists every configuration that was walked. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dsl.program import ProgramSet
from envs.spec import SpecError, check_distinct
from envs.support.typed_json import FormatError, is_version
from npi.core.base import tensors_digest
from npi.core.recurrent import may_call
from npi.library.library import Library, LibraryError, row_name
from npi.library.tensor_files import check_tensors, read_tensors, tensors_bytes, write_whole

FORMAT = 1
"""Version of the file's format; another one is refused."""

TOLERANCE = 1e-2
"""How far (in logits) numbers of another device or batch may be off. Measured: 0.00013, against double precision."""


@dataclass(frozen=True)
class ProgramEntry:
    """What was proved of one program (see :class:`npi.library.kinds.ProgramProof`)."""

    name: str
    margin: float
    fields: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class CertifiedProgram(ProgramEntry):
    """With the ``configurations`` that were walked, M × (5 + fields)."""

    configurations: torch.Tensor


@dataclass(frozen=True)
class FileEntry:
    """What was proved of one program file.

    Attributes:
        file: its name, for people. digest: sha256 of its sources, used files included.
        rows: sha256 of the rows of everything that its table names.
        domains: for each row of a pad the symbols that its cells can hold: the invariants under which it was proved.
        programs: those that were proved; whatever one of them calls is among them.
    """

    file: str
    digest: str
    rows: str
    domains: Mapping[str, Sequence[str]]
    programs: tuple[ProgramEntry, ...]


@dataclass(frozen=True)
class CertifiedFile(FileEntry):
    """With the configurations of its programs."""

    programs: tuple[CertifiedProgram, ...]


@dataclass(frozen=True)
class Head:
    """The JSON of a certificate; its configurations are tensors, called by the file's number and the program."""

    format: int
    engine: str
    core: str
    tolerance: float
    files: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Certificate:
    """Proofs about one core: the version that wrote it, sha256 of the core's numbers, how far those of another device
    or batch may be off (logits), and one entry a program file."""

    engine: str
    core: str
    tolerance: float
    files: tuple[CertifiedFile, ...]

    @property
    def configurations(self) -> int:
        return sum(len(program.configurations) for file in self.files for program in file.programs)

    def void(self, file: FileEntry, library: Library, programs: ProgramSet | None) -> str:
        """Why the certificate of a file is not for a library, which has these programs of it; empty where it is."""
        if programs is None:
            return f"void: the library does not hold {file.file} as it was certified"
        if self.core != library.core.digest():
            return "void: the core is not the one that was certified"
        return "" if table_rows(library, programs) == file.rows else f"void: rows of {file.file} were changed"

    def save(self, path: Path | str) -> None:
        """Write the certificate, whole or not at all."""
        path = Path(path)
        files: list[dict[str, Any]] = []
        tensors = {}
        for number, file in enumerate(self.files):
            programs = []
            for program in file.programs:
                tensors[f"{number}/{program.name}"] = program.configurations
                programs.append({key: value for key, value in vars(program).items() if key != "configurations"})
            files.append(vars(file) | {"programs": programs})
        head = {"format": FORMAT, **(vars(self) | {"files": files})}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, tensors_bytes(tensors, head))

    @classmethod
    def open(cls, path: Path | str) -> Certificate:
        """Read a certificate; ``ValueError`` for a file that is none, is damaged, or has another format."""

        def check(head: Any) -> None:
            if not isinstance(head, dict) or "format" not in head or "files" not in head:
                raise LibraryError(f"{path} is no certificate; give a file that npi certify --out wrote")
            if not is_version(head["format"], FORMAT):
                message = f"{path} has format {head['format']!r}, this engine reads {FORMAT}; prove the library again"
                raise LibraryError(message)

        try:
            tensors, head = read_tensors(Path(path), Head, check)
            programs = [(f"{n}/{p.name}", p) for n, file in enumerate(head.files) for p in file.programs]
            check_distinct([file.digest for file in head.files], "certified file")
            check_distinct([name for name, _ in programs], "certified program")
            whole = {name: tensors[name].dtype for name, _ in programs if name in tensors}
            if not set(whole.values()) <= {torch.int16, torch.int32}:
                raise FormatError("configurations are not listed in whole numbers")
            sizes = {name: (whole.get(name, torch.int16), (None, 5 + len(p.fields))) for name, p in programs}
            check_tensors(tensors, sizes)
        except (FormatError, SpecError) as error:
            raise LibraryError(f"{path}: part of the certificate is missing or wrong ({error}); prove again") from error
        files = []
        for number, file in enumerate(head.files):
            certified = (
                CertifiedProgram(**vars(p), configurations=tensors[f"{number}/{p.name}"]) for p in file.programs
            )
            files.append(CertifiedFile(**(vars(file) | {"programs": tuple(certified)})))
        return cls(head.engine, head.core, head.tolerance, tuple(files))


def table_rows(library: Library, programs: ProgramSet) -> str:
    """sha256 of the rows of everything that a file's table names: their numbers, and what is known about them.

    Numbers of generations are told by their order among these rows alone, and which generations a row sees by what it
    may call of them: so a proof holds in a library where the same rows have generations of other numbers.
    """
    table, world = programs.table, library.world(programs.table.world)
    rows = library.rows(table)
    infos = [library.memory.infos[row].to_json() for row in rows.tolist()]
    assert [row_name(table, callee, world) for callee in range(len(table))] == [info["name"] for info in infos]
    order = sorted({info["generation"] for info in infos})
    infos = [{k: v for k, v in info.items() if k != "sees"} | {"generation": order.index(info["generation"])}
             for info in infos]  # fmt: skip
    numbers = tensors_digest({name: part[rows] for name, part in library.memory.state_dict().items()})
    parts: list[object] = [numbers, infos]
    allowed = may_call(library.memory, rows).tolist()
    earlier = [[a["world"] == b["world"] and a["generation"] >= b["generation"] for b in infos] for a in infos]
    if allowed != earlier:  # where rows do not see every earlier generation
        parts.append(allowed)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
