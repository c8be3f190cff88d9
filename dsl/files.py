"""A program file and the files that it uses: read, parsed, in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsl import syntax as s
from dsl.errors import LanguageError, Source
from dsl.parse import parse


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


def read_text(path: Path) -> str:
    """A program file's text; raises ``ValueError`` for a file that is none."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a program file: byte {error.start} is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; check the path") from error


def load_modules(text: str, path: str, folder: Path | None) -> tuple[Module, ...]:
    """All modules of a file, used ones first, the file itself last.

    Args:
        text: the file's text.
        path: the name that errors give it.
        folder: where ``use`` looks; None for a text that may not use files.

    Raises:
        LanguageError: for text that does not parse, and a ``use`` that is missing, cyclic or leaves the folder.
    """
    name = Path(path).name.strip("<>")
    top = None if folder is None else folder.resolve()
    loader = _Loader(top, {})
    loader.visit(name, Source(path, text), top, ())
    stems: dict[str, str] = {}
    for module in loader.done.values():
        if stems.setdefault(module.stem, module.name) != module.name:
            line = next(iter(module.tree.items), module.tree)
            message = f"{module.name} and {stems[module.stem]} have the same name, which qualifies their programs"
            raise LanguageError(module.source, line.line, line.column, message, "rename one of the files")
    return tuple(loader.done.values())


@dataclass(frozen=True)
class _Loader:
    top: Path | None
    done: dict[str, Module]

    def visit(self, name: str, source: Source, folder: Path | None, open_names: tuple[str, ...]) -> None:
        """Parse a file after all that it uses. ``folder`` is its own; ``open_names`` are those that lead to it."""
        tree = parse(source.text, path=source.name)
        used: list[str] = []
        for use in tree.uses:
            path = self.find(use, source, folder)
            assert self.top is not None, "a file was found in no folder"
            inner = path.relative_to(self.top).as_posix()
            if inner in (*open_names, name):
                chain = " uses ".join([*open_names, name, inner])
                message = f"files use each other in a circle: {chain}"
                raise LanguageError(source, use.line, use.column, message, "move what both need into a third file")
            if inner in used:
                raise LanguageError(source, use.line, use.column, f"{use.path} is used twice", "remove one line")
            used.append(inner)
            if inner not in self.done:
                shown = str(Path(source.name).parent / use.path)
                self.visit(inner, Source(shown, read_text(path)), path.parent, (*open_names, name))
        self.done[name] = Module(Path(name).stem, name, source, tree, tuple(used))

    def find(self, use: s.Use, source: Source, folder: Path | None) -> Path:
        """The file that a ``use`` names, inside the top file's folder."""
        if folder is None or self.top is None:
            message = "a text that is in no folder cannot use files"
            raise LanguageError(source, use.line, use.column, message, "save it as a file, or give its folder")
        path = (folder / use.path).resolve()
        if Path(use.path).is_absolute() or not path.is_relative_to(self.top):
            message = f"{use.path} lies outside the folder of the program file"
            raise LanguageError(source, use.line, use.column, message, "use files beside it or in folders below")
        if not path.is_file():
            beside = sorted(p.name for p in folder.glob("*.npi"))
            mend = f"files beside this one: {', '.join(beside[:12])}" if beside else "check the name"
            raise LanguageError(source, use.line, use.column, f"there is no file {use.path}", mend)
        return path
