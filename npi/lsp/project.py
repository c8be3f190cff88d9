"""The files of an editor's project, and which declaration a name in one of them means."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dsl.check.modules import read_text
from envs.support.user_files import real_path
from npi.lsp import names as n
from npi.lsp.names import Declared, Names, Used, read_names

MOST_FILES = 2000
"""Program files of a project that are looked through for uses of a name."""

SKIPPED = frozenset(("node_modules", "__pycache__", "build", "dist", "site-packages"))
"""Folders that hold no programs; nor do those whose names begin with a dot."""


@dataclass(frozen=True)
class Target:
    """A declaration in a file."""

    path: Path
    declared: Declared


@dataclass(frozen=True)
class Project:
    """Program files.

    Attributes:
        texts: what the editor holds open, by path; every other file is read from the disk.
        roots: folders that are looked through; where there are none, the folder of the file that is asked about.
        read: texts that were read from the disk; a project answers one question, so each is read once.
        cut: texts by lines, likewise.
    """

    texts: Mapping[Path, str] = field(default_factory=dict)
    roots: Sequence[Path] = ()
    read: dict[Path, str | None] = field(default_factory=dict, repr=False)
    cut: dict[Path, list[str]] = field(default_factory=dict, repr=False)

    def text(self, path: Path) -> str | None:
        """A file's text; None where there is none."""
        if path in self.texts:
            return self.texts[path]
        if path not in self.read:
            try:
                self.read[path] = read_text(path)
            except ValueError:
                self.read[path] = None
        return self.read[path]

    def lines(self, path: Path) -> list[str]:
        """A file's lines, of which there is one at least."""
        if path not in self.cut:
            self.cut[path] = [line.removesuffix("\r") for line in (self.text(path) or "").split("\n")]
        return self.cut[path]

    def names(self, path: Path) -> Names:
        """The names of a file; none where it cannot be read."""
        text = self.text(path)
        return read_names(text) if text is not None else Names((), (), ())

    def modules(self, path: Path) -> list[Path]:
        """A file and all that it uses, itself first, near ones before far ones."""
        found = [path]
        waiting = deque([path])
        while waiting:
            here = waiting.popleft()
            for use in self.names(here).uses:
                other = used_path(here, use)
                if other not in found and self.text(other) is not None:
                    found.append(other)
                    waiting.append(other)
        return found

    def unsaved(self, path: Path) -> dict[str, str]:
        """The texts that the editor holds of files in the folder of one, by their names relative to it."""
        folder = real_path(path.parent)
        return {
            other.relative_to(folder).as_posix(): text
            for other, text in self.texts.items()
            if other.is_relative_to(folder)
        }

    def files(self, path: Path) -> list[Path]:
        """The program files in which a name of this file can be used."""
        roots = [root for root in self.roots if path.is_relative_to(root)] or [path.parent]
        found = dict.fromkeys([path, *self.texts])
        for root in roots:
            for other in program_files(root):
                found[other] = None
                if len(found) >= MOST_FILES:
                    return list(found)
        return list(found)

    def everything(self) -> list[Path]:
        """The program files of all folders, and those that the editor holds open."""
        return list(dict.fromkeys(path for root in self.roots for path in self.files(root / "any"))) or list(self.texts)

    # what names mean

    def meant(self, path: Path, used: Used) -> tuple[Target, ...]:
        """The declarations that a name means: none for a word of the language, several where it is not clear."""
        if used.role == n.CALLABLE:
            return self.program(path, used.name, used.before)
        if used.role == n.PLACE:
            return self.of_world(path, used.name, (n.ROW,))
        if used.role != n.VALUE:
            return ()
        return self.local(path, used) or self.of_world(path, used.name, (n.POINTER, n.COUNTER, n.ROW))

    def local(self, path: Path, used: Used) -> tuple[Target, ...]:
        """A parameter, loop variable or input; the innermost."""
        found = [item for item in self.names(path).declared if item.name == used.name and reaches(item, used)]
        return (Target(path, max(found, key=lambda item: item.span)),) if found else ()

    def of_world(self, path: Path, name: str, kinds: Sequence[str]) -> tuple[Target, ...]:
        """What a world of the set declares under that name, by the first of these kinds."""
        for module in self.modules(path):
            fitting = [item for item in self.names(module).declared if item.name == name and item.kind in kinds]
            if fitting:
                best = min(kinds.index(item.kind) for item in fitting)
                return tuple(Target(module, item) for item in fitting if kinds.index(item.kind) == best)
        return ()

    def program(self, path: Path, name: str, stem: str) -> tuple[Target, ...]:
        """A program: of the file itself, else of those that it uses."""
        modules = [module for module in self.modules(path) if stem in ("", module.stem)]
        found = [target for module in modules for target in self.programs(module) if target.declared.name == name]
        own = [target for target in found if target.path == path]
        return tuple(own or found)

    def programs(self, path: Path) -> tuple[Target, ...]:
        """The programs that a file declares."""
        return tuple(Target(path, item) for item in self.names(path).declared if item.kind == n.PROGRAM)

    def at(self, path: Path, line: int, column: int) -> Used | Declared | None:
        """The name under a cursor."""
        found = self.names(path)
        every: list[Used | Declared] = [*found.used, *found.declared]
        touched = [item for item in every if item.span.holds(line, column)]
        return max(touched, key=lambda item: item.span) if touched else None

    def targets(self, path: Path, found: Used | Declared) -> tuple[Target, ...]:
        """What a name means, whether it is used or declared there."""
        return (Target(path, found),) if isinstance(found, Declared) else self.meant(path, found)

    def uses(self, target: Target) -> Iterator[tuple[Path, Used]]:
        """Everywhere that a declaration is meant, in the order of files and texts."""
        for path in self.files(target.path):
            text = self.text(path)
            if text is None or target.declared.name not in text:
                continue
            for used in self.names(path).used:
                if used.name == target.declared.name and target in self.meant(path, used):
                    yield path, used


def reaches(item: Declared, used: Used) -> bool:
    """Whether a declaration that holds in some lines only holds where a name is used."""
    extent = item.extent
    return extent is not None and item.part == used.part and extent[0] <= used.span.line <= extent[1]


def used_path(path: Path, use: str) -> Path:
    """The file that ``use`` names."""
    return real_path(path.parent / use)


def program_files(folder: Path) -> Iterator[Path]:
    """Every program file below a folder, without those in hidden folders."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix == ".npi" and entry.is_file():
            yield real_path(entry)
        elif entry.is_dir() and not entry.is_symlink() and entry.name not in SKIPPED and entry.name[0] != ".":
            yield from program_files(entry)
