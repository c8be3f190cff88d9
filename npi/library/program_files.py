"""The program files of a library, parsed when they are first asked for: thousands of them are opened in an instant."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from dsl.program import sources_digest
from envs.support.typed_json import read_json
from npi.library.manifest import HeldEntry, LibraryError, Manifest

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from dsl.tasks.task import Task


@dataclass(frozen=True)
class Held:
    """A program file and those that it uses.

    Attributes:
        sources: (name, text), used files first, the file itself last. digest: sha256 of them.
        place: the folder that errors say it lies in.
        told_tasks, told_calls: names of its tasks, and what its programs call by their text; None: parse it to know.
    """

    sources: tuple[tuple[str, str], ...]
    digest: str
    place: str = ""
    told_tasks: tuple[str, ...] | None = None
    told_calls: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of(cls, programs: ProgramSet) -> Held:
        """One that was parsed before."""
        held = cls(programs.sources, programs.digest)
        held.__dict__["programs"] = programs
        return held

    @property
    def file(self) -> str:
        return self.sources[-1][0]

    @property
    def stem(self) -> str:
        """What qualifies the names of its programs and tasks."""
        return Path(self.file).stem

    @property
    def stems(self) -> set[str]:
        """Of the files that it uses, too."""
        return {Path(name).stem for name, _ in self.sources}

    @cached_property
    def programs(self) -> ProgramSet:
        """Parsed and checked; :class:`LibraryError` where the parts are not those of the digest."""
        from traces.generation.generate import load_sources

        found = load_sources(self.sources)
        if found.digest != self.digest:
            raise LibraryError(f"{self.file} and the files that it uses are not those of the manifest")
        return dataclasses.replace(found, path=str(Path(self.place) / self.file))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of its tasks, bare."""
        return self.told_tasks if self.told_tasks is not None else tuple(task.name for task in self.programs.tasks)

    @property
    def calls(self) -> Mapping[str, tuple[str, ...]]:
        """For each program that it brings, by qualified name, the names of what its text calls."""
        return self.told_calls if self.told_calls is not None else calls_of(self.programs)

    def to_json(self, digests: Mapping[str, str], names: Iterable[str]) -> dict[str, Any]:
        """What the manifest says of it, with the digest of each text; calls of the programs of these names only."""
        return {
            "file": self.file,
            "digest": self.digest,
            "sources": [[name, digests[text]] for name, text in self.sources],
            "tasks": list(self.tasks),
            "calls": {name: list(self.calls[name]) for name in names if name in self.calls},
        }

    @classmethod
    def from_entry(cls, entry: HeldEntry, texts: Mapping[str, str], place: str) -> Held:
        """The inverse; :class:`LibraryError` where the texts are not those that the entry is about."""
        sources = tuple((name, texts[digest]) for name, digest in entry.sources)
        if not sources or sources_digest(sources) != entry.digest:
            name = sources[-1][0] if sources else "a program file"
            raise LibraryError(
                f"{Path(place) / name} and the files that it uses are not those of the manifest; restore them "
                "from a copy"
            )
        return cls(sources, entry.digest, place, entry.tasks, entry.calls)


class Shelf(MutableSequence["ProgramSet"]):
    """A list of program sets, each parsed when it is first asked for."""

    def __init__(self, held: Iterable[Held]) -> None:
        self.held = list(held)

    def __len__(self) -> int:
        return len(self.held)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return [held.digest for held in self.held] == [
            getattr(one, "digest", None) for one in (other.held if isinstance(other, Shelf) else other)
        ]

    @overload
    def __getitem__(self, index: int) -> ProgramSet: ...

    @overload
    def __getitem__(self, index: slice) -> MutableSequence[ProgramSet]: ...

    def __getitem__(self, index: int | slice) -> ProgramSet | MutableSequence[ProgramSet]:
        return Shelf(self.held[index]) if isinstance(index, slice) else self.held[index].programs

    def __setitem__(self, index: Any, value: Any) -> None:
        self.held[index] = [Held.of(one) for one in value] if isinstance(index, slice) else Held.of(value)

    def __delitem__(self, index: int | slice) -> None:
        del self.held[index]

    def insert(self, index: int, value: ProgramSet) -> None:
        self.held.insert(index, Held.of(value))


def held_texts(manifest: Manifest, data: Mapping[str, bytes], folder: Path) -> list[Held]:
    """The program files of a library, from its files by name; :class:`LibraryError` where they do not fit."""
    (texts,) = [read_json(Mapping[str, str], part) for name, part in data.items() if name.startswith("texts-")] or [{}]
    return [Held.from_entry(entry, texts, str(folder)) for entry in manifest.programs]


def parsed(source: ProgramSet | Path | str) -> ProgramSet:
    """A program file: itself where it was parsed before, else read from its path."""
    from dsl import load
    from dsl.program import ProgramSet

    return source if isinstance(source, ProgramSet) else load(source)


def held_in(sets: Sequence[ProgramSet]) -> list[Held]:
    """The program files of a list, none of them parsed for it."""
    return list(sets.held) if isinstance(sets, Shelf) else [Held.of(programs) for programs in sets]


def calls_of(programs: ProgramSet) -> dict[str, tuple[str, ...]]:
    """For each program of a file, by qualified name, the names of what its text calls."""
    names = [signature.name for signature in programs.table.signatures]
    return {p.name: tuple(dict.fromkeys(names[callee] for callee in p.calls)) for p in programs.programs}


def named_tasks(sets: Sequence[ProgramSet]) -> dict[str, tuple[ProgramSet, Task]]:
    """Every task of some program files, by name qualified with its file."""
    return {f"{Path(s.path).stem}.{t.name}": (s, t) for s in sets for t in s.tasks}


def find_task(sets: Sequence[ProgramSet], name: str) -> tuple[ProgramSet, Task]:
    """A task by its qualified or bare name; a :class:`LibraryError` says what there is. Only its file is parsed."""
    known = {f"{held.stem}.{task}": held for held in held_in(sets) for task in held.tasks}
    found = named(name, known, what="task", show=repr, otherwise=f"it has {some(known)}")
    programs = known[found].programs
    return programs, programs.task(found.rpartition(".")[2])


def named(
    word: str,
    names: Iterable[str],
    *,
    what: str = "program",
    show: Callable[[str], str] = str,
    otherwise: str = "npi library list shows what there is",
) -> str:
    """The one of some qualified names that is called so, as a whole or by its bare part.

    Raises :class:`LibraryError` that names the closest, or all that have the bare name.
    """
    every = list(names)
    found = [name for name in every if name == word] or [n for n in every if n.rpartition(".")[2] == word]
    if len(found) == 1:
        return found[0]
    if found:
        raise LibraryError(f"several {what}s are called {show(word)}: {', '.join(found)}; give one with its file")
    close = difflib.get_close_matches(word, [*every, *(name.rpartition(".")[2] for name in every)], n=1)
    hint = f"did you mean {show(close[0])}?" if close else otherwise
    raise LibraryError(f"the library has no {what} {show(word)}; {hint}")


def some(names: Iterable[str], most: int = 12) -> str:
    """``a, b, c``, or the first of them and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more if every else "none"
