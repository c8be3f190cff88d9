"""A program file and the files that it uses: read, parsed, in the order in which they depend on each other."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dsl.errors.error import LanguageError, Source
from dsl.text import syntax as s
from dsl.text.parse import parse_all
from dsl.text.recovery import Rest
from envs.support.user_files import read_file, real_path


@dataclass(frozen=True)
class Module:
    """One parsed file.

    Attributes:
        stem: qualifies the names of its programs.
        name: the file relative to the top file's folder.
        uses: names of the modules that it uses itself.
    """

    stem: str
    name: str
    source: Source
    tree: s.File
    uses: tuple[str, ...]


PROGRAM_BYTES = 4 << 20
"""Of a program file and those that it uses, together."""


FILES_DEEP = 100
"""Of files that use each other in a row."""

BYTE_ORDER_MARK = "\ufeff"


def read_text(path: Path) -> str:
    """A program file's text, without a byte order mark; raises ``ValueError`` for a file that is none."""
    try:
        return decoded(read_file(path, PROGRAM_BYTES), str(path))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; check the path") from error


def text_of(stream: BinaryIO, name: str) -> str:
    """The same of an open stream, such as standard input; errors call it so."""
    data = stream.read(PROGRAM_BYTES + 1)
    if len(data) > PROGRAM_BYTES:
        raise ValueError(f"{name}: more than {PROGRAM_BYTES >> 20} MiB, the most that is read of a program file")
    return decoded(data, name)


def decoded(data: bytes, name: str) -> str:
    """A program file's text by its bytes; errors call it so."""
    try:
        return data.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not a program file: byte {error.start} is not UTF-8; save it as UTF-8") from error


@dataclass(frozen=True)
class Files:
    """The files that ``use`` finds, by their names relative to the folder of the program file.

    Attributes:
        folder: on the disk, resolved; None where all files are held as texts.
        texts: files held in memory, in place of those in the folder.
    """

    folder: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path | str | None, texts: Mapping[str, str]) -> Files | None:
        """None where there is neither a folder nor a text."""
        if folder is None and not texts:
            return None
        return cls(None if folder is None else real_path(folder), texts)

    def name(self, path: str, user: str) -> str | None:
        """The name of the file to which a path leads from another file; None outside the folder."""
        if Path(path).is_absolute():
            return None
        inner = PurePosixPath(user).parent / path
        if self.folder is None:
            name = posixpath.normpath(inner)
            return None if name.startswith("..") else name
        found = real_path(self.folder / inner)
        return found.relative_to(self.folder).as_posix() if found.is_relative_to(self.folder) else None

    def text(self, name: str) -> str:
        """Raises ``FileNotFoundError``, or ``ValueError`` as :func:`read_text`."""
        if name in self.texts:
            return self.texts[name].removeprefix(BYTE_ORDER_MARK)
        if self.folder is None or not (self.folder / name).exists():
            raise FileNotFoundError(name)
        return read_text(self.folder / name)

    def beside(self, name: str) -> list[str]:
        """Names of the program files in the folder of a file."""
        folder = PurePosixPath(name).parent
        names = {path.name for path in map(PurePosixPath, self.texts) if path.parent == folder}
        if self.folder is not None:
            names.update(path.name for path in (self.folder / folder).glob("*.npi"))
        return sorted(names)


@dataclass(frozen=True)
class Loaded:
    """A file and those that it uses.

    Attributes:
        modules: used ones first, the file itself last; of a file with mistakes, what could be read.
        errors: mistakes of the texts and of their ``use`` lines.
        rest: what the texts mean to say and does not appear in the modules.
    """

    modules: tuple[Module, ...]
    errors: tuple[LanguageError, ...]
    rest: Rest


def load_modules(text: str, path: str, files: Files | None) -> Loaded:
    """All modules of a file; ``path`` is its name in errors, ``files`` is None where it may not use others."""
    name = Path(path).name.strip("<>")
    loader = _Loader(files, {}, [], [], [len(text)])
    loader.visit(name, Source(path, text.removeprefix(BYTE_ORDER_MARK)), ())
    stems: dict[str, str] = {}
    for module in loader.done.values():
        if stems.setdefault(module.stem, module.name) != module.name:
            line = next(iter(module.tree.items), module.tree)
            message = f"{module.name} and {stems[module.stem]} have the same name, which qualifies their programs"
            fix = "rename one of the files"
            loader.refuse(module.source.error(line, message, fix, "NPI035"))
    return Loaded(tuple(loader.done.values()), tuple(loader.errors), Rest().union(*loader.rests))


@dataclass(frozen=True)
class _Loader:
    files: Files | None
    done: dict[str, Module]
    errors: list[LanguageError]
    rests: list[Rest]
    sizes: list[int]

    def refuse(self, error: LanguageError) -> None:
        """Enter a mistake in a ``use`` line: what the file declares is missing from now on."""
        self.errors.append(error)
        self.rests.append(Rest(whole=frozenset(("use",))))

    def visit(self, name: str, source: Source, open_names: tuple[str, ...]) -> None:
        """Parse a file after all that it uses. ``open_names`` are the files that lead to it."""
        parsed = parse_all(source)
        self.errors.extend(parsed.errors)
        self.rests.append(parsed.rest)
        used: list[str] = []
        for use in parsed.tree.of(s.Use):
            try:
                self.use(use, source, name, open_names, used)
            except LanguageError as error:
                self.refuse(error)
        self.done[name] = Module(Path(name).stem, name, source, parsed.tree, tuple(used))

    def use(self, use: s.Use, source: Source, name: str, open_names: tuple[str, ...], used: list[str]) -> None:
        """Visit the file that a line names, and enter it in ``used``."""
        inner, text = self.find(use, source, name)
        if len(open_names) >= FILES_DEEP or sum(self.sizes) + len(text) > PROGRAM_BYTES:
            message = f"files are used more than {FILES_DEEP} deep"
            if len(open_names) < FILES_DEEP:
                message = f"this file and those that it uses have more than {PROGRAM_BYTES >> 20} MiB"
            raise source.error(use, message, "use fewer and smaller files", "NPI036")
        if inner in (*open_names, name):
            chain = " uses ".join([*open_names, name, inner])
            message, fix = f"files use each other in a circle: {chain}", "move what both need into a third file"
            raise source.error(use, message, fix, "NPI033")
        if inner in used:
            message = f"{use.path} is used twice"
            raise source.error(use, message, "remove one line", "NPI034")
        if inner not in self.done:
            shown = str(Path(source.name).parent / use.path)
            self.sizes.append(len(text))
            self.visit(inner, Source(shown, text), (*open_names, name))
        used.append(inner)

    def find(self, use: s.Use, source: Source, name: str) -> tuple[str, str]:
        """The name and the text of the file that a ``use`` names in the file ``name``."""
        if self.files is None:
            message = "a text that is in no folder cannot use files"
            raise source.error(use, message, "save it as a file, or give its folder", "NPI030")
        inner = self.files.name(use.path, name)
        if inner is None:
            message = f"{use.path} lies outside the folder of the program file"
            raise source.error(use, message, "use files beside it or in folders below", "NPI031")
        try:
            return inner, self.files.text(inner)
        except FileNotFoundError:
            beside = self.files.beside(name)
            fix = f"files beside this one: {', '.join(beside[:12])}" if beside else "check the name"
            if "\\" in use.path:
                fix = "paths are written with /: " + use.path.replace("\\", "/")
            raise source.error(use, f"there is no file {use.path}", fix, "NPI032") from None
        except ValueError as error:
            message = f"{use.path} cannot be used: {str(error).partition(': ')[2]}"
            fix = "fix that file, or use another"
            raise source.error(use, message, fix, "NPI036") from None
