"""Trace sets made on several hosts: each writes some of the shards into a folder of its own; these are put together.

A shard's problems follow from the set's seed, the task and the shard's number alone, so the whole is the same, byte for
byte, as the set that one process would have written. A folder with a part has ``part.json`` in place of a manifest:
what the whole set is of, which of its shards are here, and their sizes and sha256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dsl.program import ProgramSet
from envs.support.atomic_files import claimed, write_whole
from envs.support.sealed_json import sha256
from envs.support.typed_json import typed
from envs.support.user_files import DATA_BYTES, has_content, read_file
from traces.generation.generate import Counts, Progress, check_finished, make_shards, plan_set, writing_alone
from traces.machine.lockstep import Budget
from traces.storage.trace_set import (
    MANIFEST,
    PART,
    PLAN,
    Shard,
    ShardRange,
    TraceSet,
    TraceSetError,
    TraceSetWriter,
    clear_plan,
    read_manifest,
    shard_name,
    table_digest,
)


@dataclass(frozen=True)
class TracePart:
    """An opened part: its traces, to be read like those of a set, and which shards of the whole they are."""

    traces: TraceSet
    shards: ShardRange

    @property
    def folder(self) -> Path:
        return self.traces.folder

    @classmethod
    def open(cls, folder: Path | str, *, verify: Literal["size", "hash"] = "hash") -> TracePart:
        """Open a folder that :func:`generate_part` finished; ``verify`` as for a whole set.

        Raises :class:`TraceSetError` for any other folder, and for missing or damaged shards.
        """
        folder = Path(folder)
        data = read_manifest(folder, PART) if (folder / PART).exists() else _no_part(folder)
        traces = TraceSet.listed(folder, PART, data)
        try:
            shards: ShardRange = typed(ShardRange, data["part"])
        except (KeyError, ValueError) as error:
            raise TraceSetError(f"{folder / PART} does not say which shards it holds ({error})") from error
        listed = [shard.file for shard in traces.shards]
        if listed != [shard_name(number) for number in range(shards.begin, shards.end)]:
            raise TraceSetError(f"{folder / PART} lists other files than those of {shards}; make it anew")
        if verify == "hash":
            traces.check()
        return cls(traces, shards)


def generate_part(
    program_set: ProgramSet,
    *,
    task: str,
    traces: Counts,
    sizes: Sequence[int] | None = None,
    seed: int = 0,
    out: Path | str,
    part: tuple[int, int] | None = None,
    shards: tuple[int, int] | None = None,
    processes: int = 1,
    shard_traces: int = 512,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> TracePart:
    """Write some shards of the set that :func:`traces.generation.generate.generate` would write, or finish them where
    interrupted.

    Args:
        part: ``(2, 4)`` is the second of four parts of about the same size.
        shards: ``(4, 8)`` are the shards 4 to 7, counted from 0. One of the two is given.

    Others, and errors, as for ``generate``, and the same on every host.
    """
    plan = plan_set(program_set, task=task, traces=traces, sizes=sizes, seed=seed, shard_traces=shard_traces)
    chosen = _chosen(part, shards, len(plan.shards))
    if (Path(out) / PART).exists():
        found = TracePart.open(out)
        check_finished(found.traces, plan)
        if found.shards != chosen:
            raise TraceSetError(f"{out} holds {found.shards} already, not {chosen}; choose another folder")
        return found
    with writing_alone(out, processes):
        writer = TraceSetWriter(out, program_set.table, plan.info, chosen)
        mine = plan.shards[chosen.begin : chosen.end]
        made = make_shards(plan, mine, writer, processes=processes, progress=progress, budget=budget)
        writer.seal(made, PART)
        return TracePart.open(out, verify="size")


def merge_parts(folders: Sequence[Path | str], *, out: Path | str, progress: Progress | None = None) -> TraceSet:
    """Put the parts of one set together, in any order; every shard's sha256 is checked on the way.

    A merge that was interrupted goes on with the same call, and one that is finished is opened as it is. The parts are
    left as they are. Raises :class:`TraceSetError` for parts of different sets, shards that are missing, twice there or
    changed, and an ``out`` that holds something else.
    """
    parts = sorted((TracePart.open(folder, verify="size") for folder in folders), key=lambda part: part.shards.begin)
    if not parts:
        raise ValueError("there are no parts to put together: give the folders that npi trace --part wrote")
    for other in parts[1:]:
        _check_same(parts[0], other)
    _check_cover(parts)
    table, info = parts[0].traces.table, parts[0].traces.info
    shards = [shard for part in parts for shard in part.traces.shards]
    if (Path(out) / MANIFEST).exists():
        found = TraceSet.open(out)
        if (found.info, list(found.shards)) == (info, shards) and table_digest(found.table) == table_digest(table):
            clear_plan(found.folder)
            return found
    done, total = 0, sum(len(part.traces) for part in parts)
    with claimed(out):
        writer = TraceSetWriter(out, table, info)
        for part in parts:
            for shard in part.traces.shards:
                _copy(part.folder, shard, writer.folder)
                done += shard.traces
                if progress is not None:
                    progress(done, total)
        return writer.finish(shards)


def _no_part(folder: Path) -> Mapping[str, Any]:
    if (folder / MANIFEST).exists():
        raise TraceSetError(f"{folder} holds a whole trace set, which needs no other parts; leave it out")
    if (folder / PLAN).exists():
        raise TraceSetError(f"{folder} holds an unfinished part: make it again with the same settings to go on")
    raise TraceSetError(f"{folder} is no part of a trace set: it has no {PART}; give what npi trace --part wrote")


def _chosen(part: tuple[int, int] | None, shards: tuple[int, int] | None, whole: int) -> ShardRange:
    if (part is None) == (shards is None):
        raise ValueError("say which shards to make, by part or by shards, and not by both")
    if part is not None:
        number, count = part
        if not 1 <= number <= count:
            raise ValueError(f"there is no part {number} of {count}; parts are numbered from 1")
        if count > whole:
            raise ValueError(
                f"the set has {_plural(whole)}, too few for {count} parts; make fewer parts, or more traces"
            )
        return ShardRange(whole * (number - 1) // count, whole * number // count, whole)
    assert shards is not None
    begin, end = shards
    if not 0 <= begin < end <= whole:
        raise ValueError(f"there are no shards {begin}:{end}; the set has {_plural(whole)}, so give some of 0:{whole}")
    return ShardRange(begin, end, whole)


def _plural(shards: int) -> str:
    """``1 shard``, ``2 shards``."""
    return f"{shards} shard{'' if shards == 1 else 's'}"


def _check_same(one: TracePart, other: TracePart) -> None:
    """Raise :class:`TraceSetError` that says in what two parts differ where they are not of one set."""
    was, now = asdict(one.traces.info), asdict(other.traces.info)
    words = {"program_digest": "the program file (sha256)", "sources": "the text of the program file"}
    for key in ("task", "seed", "settings", "program", "program_digest", "sources"):
        if was[key] != now[key]:
            values = "" if key == "sources" else f": {was[key]!r} there, {now[key]!r} here"
            raise TraceSetError(
                f"{other.folder} is of another set than {one.folder}: it differs in {words.get(key, key)}{values}; "
                "make all parts with one command, but for the part"
            )
    if table_digest(one.traces.table) != table_digest(other.traces.table) or one.shards.whole != other.shards.whole:
        raise TraceSetError(f"{other.folder} is of another set than {one.folder}: it has another table of programs")


def _check_cover(parts: Sequence[TracePart]) -> None:
    """Raise :class:`TraceSetError` that names shards which are in two parts, or in none."""
    holders: dict[int, list[Path]] = {number: [] for number in range(parts[0].shards.whole)}
    for part in parts:
        for number in range(part.shards.begin, part.shards.end):
            holders[number].append(part.folder)
    twice = [number for number, folders in holders.items() if len(folders) > 1]
    if twice:
        folders = " and ".join(map(str, holders[twice[0]]))
        raise TraceSetError(f"{_ranges(twice)} of the set: in both {folders}; leave one out, or make another part")
    missing = [number for number, folders in holders.items() if not folders]
    if missing:
        raise TraceSetError(
            f"{_ranges(missing)} of the set ({_plural(len(holders))}) are in no part; make them with npi trace --shards"
        )


def _ranges(numbers: Sequence[int]) -> str:
    """``shards 0:2, 5:6``: half-open, as they are given to make them."""
    ends = [n for n in numbers if n + 1 not in numbers]
    begins = [n for n in numbers if n - 1 not in numbers]
    return "shards " + ", ".join(f"{begin}:{end + 1}" for begin, end in zip(begins, ends, strict=True))


def _copy(source: Path, shard: Shard, target: Path) -> None:
    """Copy a shard's file, whole, if its sha256 is what it was when it was made."""
    data = read_file(source / shard.file, DATA_BYTES)
    if sha256(data) != shard.sha256:
        raise TraceSetError(
            f"{source / shard.file} was changed after it was written: its sha256 is not that of {PART}; make this part "
            "again in an empty folder, or copy it again from where it is whole"
        )
    copy = target / shard.file
    if not has_content(copy, data):
        write_whole(copy, data)
