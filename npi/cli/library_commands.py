"""``npi library``: learned programs: list them, pack them into files, add, remove and combine them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npi.cli.console import Screen, check_folder, open_library
from npi.cli.library_queries import LibraryArgument, diff, info, list_rows
from npi.cli.options import JsonOption, OutOption, argument, option
from npi.cli.words import file_size, plural

if TYPE_CHECKING:
    from npi.library.operations import Change

ProgramsArgument = Annotated[list[str], argument("Such as MAX, or max.MAX.", "PROGRAM...")]


def pack(
    library: LibraryArgument,
    programs: ProgramsArgument,
    out: Annotated[Path, option("--out", "The file to write.", "FILE.npirow", show_default=False)],
    alone: Annotated[
        bool, option("--alone", "Leave out learned programs that these call; they must be there.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write learned programs into a row file: a kilobyte or a few, for any library of the same core.

    A program comes with what was learned together with it, with the learned programs that it calls, and with its text,
    so that tasks, proofs and the teacher keep working. What was trained with the core is in every such library.

    \b
    Example:
      npi library pack library MAX --out max.npirow
    """
    from npi.library.operations import pack as packed

    screen = Screen(json=json)
    found = packed(open_library(library), programs, alone=alone)
    size = found.save(out)
    numbers = found.parameters
    screen.line(f"wrote {out}, {file_size(size)}: {', '.join(found.names)} ({file_size(4 * numbers)} of numbers)")
    screen.document({"file": out, "bytes": size, "rows": found.names, "numbers": numbers})


def add(
    library: LibraryArgument,
    files: Annotated[list[Path], argument("Of npi library pack.", "FILE...")],
    replace: Annotated[bool, option("--replace", "Let them take the place of other rows of their names.")] = False,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Add the rows of files to a library. Core and old rows stay as they are, which is checked and printed.

    Rows for another core are refused, and rows that call others which are not there with the same numbers. What is
    there already is left alone.

    \b
    Example:
      npi library add library max.npirow
      npi library add library max.npirow --replace --out other
    """
    from npi.library.operations import RowFile
    from npi.library.operations import add as added

    found = added(open_library(library), [RowFile.open(path) for path in files], replace=replace)
    _finish(Screen(json=json), found, library, out)


def remove(
    library: LibraryArgument,
    programs: ProgramsArgument,
    callers: Annotated[bool, option("--with-callers", "Remove the programs that call them, too.")] = False,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Remove learned programs from a library, with what was learned only for them. What the core came with stays.

    \b
    Example:
      npi library remove library MAX
      npi library remove library SWAP --with-callers
    """
    from npi.library.operations import remove as removed

    found = removed(open_library(library), programs, with_callers=callers)
    _finish(Screen(json=json), found, library, out)


class Preferred(StrEnum):
    """Whose rows are taken where both libraries have some of one name."""

    first = "first"
    second = "second"


def merge(
    first: LibraryArgument,
    second: Annotated[Path, argument("Another one.", "LIBRARY")],
    out: Annotated[Path, option("--out", "Folder of the new library.", "DIR", show_default=False)],
    prefer: Annotated[
        Preferred | None, option("--prefer", "Whose rows to take where both have other ones of a name.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Combine what two people learned for one core into one library; rows that both have are there once.

    No program can call what it could not call before, so each decides as it did.

    \b
    Example:
      npi library merge mine yours --out ours
      npi library merge mine yours --out ours --prefer first
    """
    from npi.library.operations import merge as merged

    check_folder(out)
    found = merged(open_library(first), open_library(second), prefer=None if prefer is None else prefer.value)
    _finish(Screen(json=json), found, first, out)


def _finish(screen: Screen, found: Change, library: Path, out: Path | None) -> None:
    """Write the library where it changed, and say what did and what did not."""
    from npi.library.program_files import some

    changed = bool(found.added or found.removed)
    if changed or out is not None:
        found.library.save(out or library)
    for label in ("removed", "added", "there"):
        if names := getattr(found, label):
            said = f" ({plural(len(names), 'row')} that {'is' if len(names) == 1 else 'are'} the same)"
            screen.line(f"{label:<12}{some(names)}{said if label == 'there' else ''}")
    for label in ("core", "rows", "outputs"):
        what = label if label == "core" else f"old {label}"
        screen.line(f"{what:<12}{getattr(found, label)[:16]}: bit-identical")
    place = out or library
    screen.line(f"written to {place}" if changed or out is not None else f"{place} is as it was")
    names = {label: getattr(found, label) for label in ("added", "removed", "there")}
    screen.document({"library": place, **names, "core": found.core, "rows": found.library.rows_digest()})


COMMANDS = (
    ("list", list_rows, "List the rows of a library."),
    ("info", info, "Tell all about a row, or a row file."),
    ("pack", pack, "Write learned programs into a file."),
    ("add", add, "Add the rows of files."),
    ("remove", remove, "Remove learned programs."),
    ("diff", diff, "Compare two libraries."),
    ("merge", merge, "Combine two libraries of one core."),
)
