"""``npi library merge`` and ``extract``: several libraries in one folder; and how a changed library is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from npi.cli.console import (
    Column,
    Screen,
    check_folder,
    check_library,
    number,
    open_library,
    picked,
    shipped_or,
)
from npi.cli.options import JsonOption, argument, option
from npi.cli.words import plural

if TYPE_CHECKING:
    from npi.library.members import Member
    from npi.library.operations import Change

LibraryArgument = Annotated[Path, argument("A library's folder, or a collection's.", "LIBRARY")]


def claimed_for(library: Path, out: Path | None) -> AbstractContextManager[None]:
    """No other process writes where this command does, from before the library is read."""
    from envs.support.atomic_files import WAIT, claimed

    place = out or library
    return claimed(place, wait=WAIT) if out is not None or library.is_dir() else nullcontext()


def write_change(screen: Screen, found: Change, library: Path, out: Path | None) -> None:
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
    names = picked(found, "added removed there core")
    screen.document({"library": place, **names, "rows": found.library.rows_digest()})


class Preferred(StrEnum):
    """Whose rows are taken where several libraries have some of one name."""

    first = "first"
    second = "second"


_PREFERRED: Mapping[Preferred | None, Literal["first", "second"] | None] = {
    None: None, Preferred.first: "first", Preferred.second: "second"
}  # fmt: skip


def merge(
    first: LibraryArgument,
    out: Annotated[Path, option("--out", "Folder of the new library.", "DIR", show_default=False)],
    others: Annotated[list[Path] | None, argument("Others.", "LIBRARY...")] = None,
    prefer: Annotated[
        Preferred | None,
        option("--prefer", "Whose rows to take where several have other ones of a name: the first's or the last's."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Combine libraries into one; rows that several have are there once.

    What was learned for one core becomes one library of that core. No program can call what it could not call before,
    so each decides as it did. Libraries of different cores become a collection: one folder with all of them, from which
    npi run, eval and the others take the program that is named. Of a folder that is no library, those in it and below
    are taken, such as what npi reproduce keeps.

    \b
    Example:
      npi library merge mine yours --out ours
      npi library merge mine yours --out ours --prefer first
      npi library merge sorting speaking few_shot --out tools
      npi library merge tools tools-that-learn/work/seed-0 --out all --prefer first
    """
    from npi.library.collection import Collection, combined
    from npi.library.manifest import is_collection
    from npi.library.operations import merge as merged

    check_folder(out, collection=True)
    screen, chosen = Screen(json=json), _PREFERRED[prefer]
    with claimed_for(first, out):
        places = [place for named in (first, *(others or ())) for place in _libraries(shipped_or(named))]
        if len(places) < 2:
            raise ValueError(f"{first} is one library, and there is nothing to combine it with; name another one")
        parts = [Collection.open(place) if is_collection(place) else open_library(place) for place in places]
        libraries = [part for part in parts if not isinstance(part, Collection)]
        if len(libraries) == len(parts) and len({part.core.digest() for part in libraries}) == 1:
            check_folder(out)
            write_change(screen, merged(*libraries, prefer=chosen), first, out)
            return
        found = combined(parts, prefer=chosen)
        found.save(out)
    _members(screen, found.members, out)


def _libraries(place: Path) -> list[Path]:
    """The library in a folder, or those below it; ``ValueError`` where there is none."""
    from npi.library.members import libraries_below

    check_library(place)
    found = libraries_below(place)
    if not found:
        raise ValueError(f"there is no library in {place}, or in a folder below it")
    return found


def _members(screen: Screen, there: Sequence[Member], place: Path) -> None:
    """What a collection holds."""
    screen.table(
        there,
        Column("core", "label"),
        number("programs", lambda one: len(one.answered(one.programs))),
        number("tasks", lambda one: len(one.answered(one.tasks))),
        Column("left to others", lambda one: ", ".join(one.yields)),
    )
    screen.line(f"written to {place}")
    cores = [picked(one, "core kind label programs tasks yields") for one in there]
    screen.document({"library": place, "cores": cores})


def extract(
    library: Annotated[Path, argument("A collection's folder.", "COLLECTION")],
    core: Annotated[str, argument("Such as universal, or the beginning of a hash; npi library list shows it.", "CORE")],
    out: Annotated[Path, option("--out", "Folder of the new library.", "DIR", show_default=False)],
    remove: Annotated[bool, option("--remove", "Take it out of the collection, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Write one member of a collection as a library of its own: core, rows, texts and history as they are.

    \b
    Example:
      npi library extract tools universal --out mine
      npi library extract tools few-shot --out cards --remove
    """
    from npi.library.collection import Collection

    library = library if remove else shipped_or(library)
    check_library(library)
    check_folder(out)
    screen = Screen(json=json)
    with claimed_for(library, None) if remove else nullcontext():
        found = open_library(library, core=core)
        member = found.member()
        found.save(out)
        if remove:
            left = Collection.open(library).without(member.core)
            left.save(library)
    screen.line(f"{member.label}: {plural(len(member.programs), 'program')}, {plural(len(member.tasks), 'task')}")
    screen.line(f"written to {out}{f', and taken out of {library}' if remove else ''}")
    screen.document({"library": out, **picked(member, "core kind label programs tasks"), "removed": remove})
