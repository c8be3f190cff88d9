"""Trace sets on disk: a folder with a manifest and shards, each a safetensors file of columns.

::

    traces/add/
        manifest.json            what the traces are of, and size, sha256 and counts of each shard; sealed, written last
        shard-00000.safetensors  the columns of a TraceBatch and their sha256; mapped into memory, read when touched
        plan.json                only while the set is being written: the manifest without its shards
        part.json                in place of the manifest where the folder holds some shards only
        (traces.generation.shards)

Every file is written under a temporary name, flushed to the disk and renamed, so a file that is there is whole.
Nothing in the folder is executed when it is opened.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from envs.spec import ProgramTable
from envs.support.atomic_files import FolderInUseError, claimed, unfinished, write_whole
from envs.support.sealed_json import is_sealed, sealed, sha256
from envs.support.typed_json import is_version, read_json, typed
from envs.support.user_files import MANIFEST_BYTES, check_regular, has_content, read_file
from envs.support.versions import versions
from traces.recording.batch import DTYPES, Ints, TraceBatch, batch_from, check_batch, concatenate, dump_table

FORMAT = "npi-traces"
VERSION = 2
MANIFEST = "manifest.json"
PLAN = "plan.json"
PART = "part.json"
_SHARD_NAME = re.compile(r"shard-\d{5,}\.safetensors")
_AGAIN = "generate the set again into an empty folder, or copy it again from where it is whole"


class TraceSetError(ValueError):
    """A folder that is no trace set, or a damaged one; the message says which file and what to do."""


@dataclass(frozen=True)
class TraceInfo:
    """Where traces come from.

    Attributes:
        program, program_digest: name of the program file and sha256 of its sources; empty for traces made by hand.
        sources: (name, text) of each source, so that a set can be read without the files.
        settings: JSON-able, what else the traces depend on (sizes, counts).
    """

    program: str = ""
    program_digest: str = ""
    sources: tuple[tuple[str, str], ...] = ()
    task: str = ""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """One file of a set: its name, size and sha256, and how many traces, frames and steps it holds."""

    file: str
    bytes: int
    sha256: str
    traces: int
    frames: int
    steps: int


@dataclass(frozen=True)
class ShardRange:
    """The shards ``begin`` to ``end`` (without it) of a set that has ``whole`` of them, a million at most."""

    begin: int
    end: int
    whole: int

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end <= self.whole <= 10**6:
            raise ValueError(f"there are no {self}")

    def __str__(self) -> str:
        return f"shards {self.begin}:{self.end} of {self.whole}"


@dataclass(frozen=True)
class TraceSet:
    """An opened trace set; its shards are read when they are asked for."""

    folder: Path
    table: ProgramTable
    info: TraceInfo
    shards: tuple[Shard, ...]

    @classmethod
    def open(cls, folder: Path | str, *, verify: Literal["size", "hash"] = "hash") -> TraceSet:
        """Open a folder; :class:`TraceSetError` for one without manifest, of another version, or with a damaged shard.

        Args:
            verify: ``"hash"`` reads all shards (:meth:`check`); ``"size"`` looks at their sizes alone, for those who
                check what they read by themselves.
        """
        trace_set = cls.listed(Path(folder), MANIFEST, read_manifest(Path(folder)))
        if verify == "hash":
            trace_set.check()
        return trace_set

    @classmethod
    def listed(cls, folder: Path, name: str, data: Mapping[str, Any]) -> TraceSet:
        """The shards that the JSON of a file lists, which are there. Raises :class:`TraceSetError` like ``open``."""
        try:
            table = ProgramTable.from_json(data["table"])
            info: TraceInfo = typed(TraceInfo, {field.name: data["info"][field.name] for field in fields(TraceInfo)})
            shards: tuple[Shard, ...] = typed(tuple[Shard, ...], data["shards"])
            digest, counts = data["table_digest"], data["counts"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TraceSetError(
                f"{folder / name}: part of the manifest is missing or wrong ({error}); {_AGAIN}"
            ) from error
        if digest != table_digest(table) or counts != _counts(shards):
            raise TraceSetError(f"{folder / name}: table or counts were changed after it was written; {_AGAIN}")
        for shard in shards:
            _verify(folder, shard, hashed=False)
        return cls(folder, table, info, shards)

    def __len__(self) -> int:
        return sum(shard.traces for shard in self.shards)

    @property
    def frames(self) -> int:
        return sum(shard.frames for shard in self.shards)

    @property
    def steps(self) -> int:
        return sum(shard.steps for shard in self.shards)

    def batches(self, numbers: Sequence[int] | None = None) -> Iterator[TraceBatch]:
        """The traces of all shards (or of those of these numbers), a shard at a time, mapped into memory."""
        return (read_shard(self.folder / shard.file, self.table) for shard in self._some(numbers))

    def check(self, numbers: Sequence[int] | None = None) -> None:
        """Read all shards (or those of these numbers): their sha256, and their contents against the table.

        Raises :class:`TraceSetError` for a damaged one.
        """
        for shard in self._some(numbers):
            _verify(self.folder, shard, hashed=True)
            self._checked(shard)

    def _some(self, numbers: Sequence[int] | None) -> Sequence[Shard]:
        return self.shards if numbers is None else [self.shards[number] for number in numbers]

    def whole(self) -> TraceBatch:
        """All traces as one batch in memory. Raises ``ValueError`` for a set without traces."""
        return concatenate(list(self.batches()))

    def trace(self, index: int) -> TraceBatch:
        """One trace, as a batch of its own, or ``IndexError``."""
        if not 0 <= index < len(self):
            raise IndexError(f"trace {index} of a set of {len(self)}")
        for shard in self.shards:
            if index < shard.traces:
                return read_shard(self.folder / shard.file, self.table).trace(index)
            index -= shard.traces
        raise AssertionError("counts were checked when the set was opened")

    def __iter__(self) -> Iterator[TraceBatch]:
        return (trace for batch in self.batches() for trace in batch)

    def _checked(self, shard: Shard) -> None:
        batch = read_shard(self.folder / shard.file, self.table)
        try:
            check_batch(batch)
        except ValueError as error:
            raise TraceSetError(f"{self.folder / shard.file}: {error}; {_AGAIN}") from error
        if (len(batch), len(batch.program), batch.steps) != (shard.traces, shard.frames, shard.steps):
            raise TraceSetError(f"{self.folder / shard.file}: its counts are not those of the manifest; {_AGAIN}")


class TraceSetWriter:
    """Writes a trace set, or a ``part`` of one, shard by shard; one that was interrupted is taken up where it stopped.

    Raises :class:`TraceSetError` for a folder that holds a finished set, other files, or a set of other settings.
    """

    def __init__(
        self, folder: Path | str, table: ProgramTable, info: TraceInfo, part: ShardRange | None = None
    ) -> None:
        self.folder, self.table, self.info, self.part = Path(folder), table, info, part
        plan = json.loads(json.dumps(self._plan()))
        if any((self.folder / name).exists() for name in (MANIFEST, PART)):
            raise TraceSetError(f"{self.folder} holds a finished trace set already; open it, or choose another folder")
        if (self.folder / PLAN).exists():
            _check_plan(self.folder, plan)
        elif self.folder.exists() and not all(map(unfinished, self.folder.iterdir())):
            raise TraceSetError(f"{self.folder} is not empty and holds no trace set; choose an empty or a new folder")
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / PLAN, sealed(plan))

    def existing(self, index: int) -> Shard | None:
        """The shard of that number, if it was written before and its contents are sound."""
        path = self.folder / shard_name(index)
        if not path.exists():
            return None
        try:
            batch = read_shard(path, self.table)
            check_batch(batch)
        except ValueError:
            return None  # it is written again
        return _entry(path, batch) if has_content(path, _shard_bytes(batch)) else None

    def write(self, index: int, batch: TraceBatch) -> Shard:
        """Write one shard; its entry for the manifest."""
        path = self.folder / shard_name(index)
        write_whole(path, _shard_bytes(batch))
        return _entry(path, batch)

    def finish(self, shards: list[Shard]) -> TraceSet:
        """Write the manifest over these shards, which are all of the set, and open it."""
        assert self.part is None
        self.seal(shards, MANIFEST)
        return TraceSet.open(self.folder, verify="size")

    def seal(self, shards: list[Shard], name: str) -> None:
        """Write the list of these shards under the name of a manifest."""
        entries = [asdict(shard) for shard in shards]
        listed = {"versions": versions(), "counts": _counts(tuple(shards)), "shards": entries}
        write_whole(self.folder / name, sealed(self._plan() | listed))
        clear_plan(self.folder)

    def _plan(self) -> dict[str, Any]:
        plan = {
            "format": FORMAT,
            "version": VERSION,
            "info": asdict(self.info),
            "table_digest": table_digest(self.table),
            "table": self.table.to_json(),
        }
        return plan if self.part is None else plan | {"part": asdict(self.part)}


def clear_plan(folder: Path) -> None:
    """Remove what a process that was killed when it had just finished has left of a set, or part."""
    with suppress(OSError, FolderInUseError), claimed(folder):  # it may be on a disk that cannot be written to
        (folder / PLAN).unlink(missing_ok=True)


def table_digest(table: ProgramTable) -> str:
    """sha256 of the whole table, names and all."""
    return sha256(dump_table(table).encode())


def shard_name(index: int) -> str:
    """``shard-00007.safetensors``."""
    return f"shard-{index:05d}.safetensors"


def read_shard(path: Path, table: ProgramTable) -> TraceBatch:
    """The columns of a shard, mapped into memory. Raises :class:`TraceSetError` where they are not those of a shard."""
    columns: dict[str, Ints] = {}
    try:
        check_regular(path)
        with safe_open(path, framework="pt") as file:
            for name in DTYPES:
                column = file.get_tensor(name).numpy()
                column.flags.writeable = False
                columns[name] = column
    except FileNotFoundError as error:
        raise TraceSetError(f"{path} is missing; {_AGAIN}") from error
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise TraceSetError(f"{path} is not a whole shard of traces ({error}); {_AGAIN}") from error
    wrong = [name for name, column in columns.items() if column.dtype != DTYPES[name]]
    if wrong:
        raise TraceSetError(
            f"{path}: column {wrong[0]} holds {columns[wrong[0]].dtype}, expected {DTYPES[wrong[0]].__name__}"
        )
    return batch_from(table, columns)


def read_manifest(folder: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The JSON of a finished set, or of a part (:data:`PART`). Raises :class:`TraceSetError` where it is none."""
    path = folder / name
    if not path.exists():
        if (folder / PART).exists():
            raise TraceSetError(
                f"{folder} holds a part of a trace set: put it together with the other parts first (npi merge PART... "
                "--out DIR), and give the folder that this writes"
            )
        if (folder / PLAN).exists():
            raise TraceSetError(
                f"{folder} holds an unfinished trace set: generate it again with the same settings to go on"
            )
        raise TraceSetError(f"{folder} is not a trace set: it has no {MANIFEST}; give the folder that generation wrote")
    try:
        text = read_file(path, MANIFEST_BYTES).decode()
        data = read_json(Any, text)
    except ValueError as error:
        raise TraceSetError(f"{path} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise TraceSetError(f"{path} is not the manifest of a trace set; give the folder that generation wrote")
    if not is_version(data.get("version"), VERSION):
        raise TraceSetError(
            f"{path} is of version {data.get('version')!r}, this program reads version {VERSION}: "
            "read it with the release that wrote it, or generate it again"
        )
    if not is_sealed(text):
        raise TraceSetError(f"{path} was changed or cut off since it was written; {_AGAIN}")
    return data


def _check_plan(folder: Path, plan: dict[str, Any]) -> None:
    try:
        text = read_file(folder / PLAN, MANIFEST_BYTES).decode()
        found = read_json(dict[str, Any], text)
        if not is_sealed(text):
            raise ValueError("it was changed or cut off since it was written")
        del found["sha256"]
        was, now = found["info"], plan["info"]
        differing = [key for key in now if was.get(key) != now[key]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceSetError(f"{folder / PLAN} cannot be read ({error}); choose another folder") from error
    if found != plan:
        what = (
            f"{differing[0]} was {was.get(differing[0])!r}, is {now[differing[0]]!r}" if differing else "another table"
        )
        raise TraceSetError(
            f"{folder} holds an unfinished trace set of other settings ({what[:200]}); "
            "use the same settings to go on, or choose another folder"
        )


def _verify(folder: Path, shard: Shard, *, hashed: bool) -> None:
    if not _SHARD_NAME.fullmatch(shard.file):
        raise TraceSetError(f"{folder / MANIFEST} names a file {shard.file!r} that no shard is called; {_AGAIN}")
    path = folder / shard.file
    if not path.is_file():
        raise TraceSetError(f"{path} is missing; {_AGAIN}")
    size = path.stat().st_size
    if size != shard.bytes:
        raise TraceSetError(f"{path} has {size} bytes, expected {shard.bytes}: it was cut or changed; {_AGAIN}")
    if hashed and _sha256(path) != shard.sha256:
        raise TraceSetError(f"{path} was changed after it was written: its sha256 is not the manifest's; {_AGAIN}")


def _entry(path: Path, batch: TraceBatch) -> Shard:
    return Shard(path.name, path.stat().st_size, _sha256(path), len(batch), len(batch.program), batch.steps)


def _counts(shards: tuple[Shard, ...]) -> dict[str, int]:
    return {name: sum(getattr(shard, name) for shard in shards) for name in ("traces", "frames", "steps")}


def _sha256(path: Path) -> str:
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shard_bytes(batch: TraceBatch) -> bytes:
    """A shard's file; the hash tells whether it is sound where no manifest has been written yet."""
    columns = batch.columns()
    return save(columns, {"sha256": sha256(b"".join(columns[name].tobytes() for name in DTYPES))})
