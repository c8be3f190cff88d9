"""A program file and the files that it uses: read, parsed, in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsl.errors.error import LanguageError, Source
from dsl.text import syntax as s
from dsl.text.parse import parse_all
from dsl.text.recovery import Rest


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


def load_modules(text: str, path: str, folder: Path | None) -> Loaded:
    """All modules of a file.

    Args:
        text: the file's text.
        path: the name that errors give it.
        folder: where ``use`` looks; None for a text that may not use files.
    """
    name = Path(path).name.strip("<>")
    top = None if folder is None else folder.resolve()
    loader = _Loader(top, {}, [], [])
    loader.visit(name, Source(path, text), top, ())
    stems: dict[str, str] = {}
    for module in loader.done.values():
        if stems.setdefault(module.stem, module.name) != module.name:
            line = next(iter(module.tree.items), module.tree)
            message = f"{module.name} and {stems[module.stem]} have the same name, which qualifies their programs"
            mend = "rename one of the files"
            loader.refuse(LanguageError(module.source, line.line, line.column, message, mend, code="NPI035"))
    return Loaded(tuple(loader.done.values()), tuple(loader.errors), Rest().union(*loader.rests))


@dataclass(frozen=True)
class _Loader:
    top: Path | None
    done: dict[str, Module]
    errors: list[LanguageError]
    rests: list[Rest]

    def refuse(self, error: LanguageError) -> None:
        """Enter a mistake in a ``use`` line: what the file declares is missing from now on."""
        self.errors.append(error)
        self.rests.append(Rest(whole=frozenset(("use",))))

    def visit(self, name: str, source: Source, folder: Path | None, open_names: tuple[str, ...]) -> None:
        """Parse a file after all that it uses. ``folder`` is its own; ``open_names`` are those that lead to it."""
        parsed = parse_all(source)
        self.errors.extend(parsed.errors)
        self.rests.append(parsed.rest)
        used: list[str] = []
        for use in parsed.tree.uses:
            try:
                self.use(use, source, name, folder, open_names, used)
            except LanguageError as error:
                self.refuse(error)
        self.done[name] = Module(Path(name).stem, name, source, parsed.tree, tuple(used))

    def use(
        self, use: s.Use, source: Source, name: str, folder: Path | None, open_names: tuple[str, ...], used: list[str]
    ) -> None:
        """Visit the file that a line names, and enter it in ``used``."""
        path = self.find(use, source, folder)
        assert self.top is not None, "a file was found in no folder"
        inner = path.relative_to(self.top).as_posix()
        if inner in (*open_names, name):
            chain = " uses ".join([*open_names, name, inner])
            message, mend = f"files use each other in a circle: {chain}", "move what both need into a third file"
            raise LanguageError(source, use.line, use.column, message, mend, code="NPI033")
        if inner in used:
            message = f"{use.path} is used twice"
            raise LanguageError(source, use.line, use.column, message, "remove one line", code="NPI034")
        if inner not in self.done:
            try:
                text = read_text(path)
            except ValueError as error:
                reason = str(error).removeprefix(f"{path}: ")
                message, mend = f"{use.path} cannot be used: {reason}", "mend that file, or use another"
                raise LanguageError(source, use.line, use.column, message, mend, code="NPI036") from None
            shown = str(Path(source.name).parent / use.path)
            self.visit(inner, Source(shown, text), path.parent, (*open_names, name))
        used.append(inner)

    def find(self, use: s.Use, source: Source, folder: Path | None) -> Path:
        """The file that a ``use`` names, inside the top file's folder."""
        if folder is None or self.top is None:
            message = "a text that is in no folder cannot use files"
            raise LanguageError(
                source, use.line, use.column, message, "save it as a file, or give its folder", code="NPI030"
            )
        path = (folder / use.path).resolve()
        if Path(use.path).is_absolute() or not path.is_relative_to(self.top):
            message = f"{use.path} lies outside the folder of the program file"
            raise LanguageError(
                source, use.line, use.column, message, "use files beside it or in folders below", code="NPI031"
            )
        if not path.is_file():
            beside = sorted(p.name for p in folder.glob("*.npi"))
            mend = f"files beside this one: {', '.join(beside[:12])}" if beside else "check the name"
            raise LanguageError(source, use.line, use.column, f"there is no file {use.path}", mend, code="NPI032")
        return path
