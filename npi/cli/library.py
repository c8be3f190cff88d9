"""``npi library``: learned programs: list them, pack them into files, add, remove, compare and combine them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import (
    Column,
    Screen,
    finish,
    open_library,
    picked,
    shipped_or,
)
from npi.cli.merging import LibraryArgument, claimed_for, extract, merge, write_change
from npi.cli.options import CoreOption, JsonOption, OutOption, argument, option, output, refuse_others
from npi.cli.words import file_size, plural

if TYPE_CHECKING:
    from npi.library.index import Card, Listing

SecondArgument = Annotated[Path, argument("Another one.", "LIBRARY")]
ProgramsArgument = Annotated[list[str], argument("Such as MAX, or max.MAX.", "PROGRAM...")]


def list_rows(
    library: LibraryArgument,
    name: Annotated[str | None, option("--name", "Only rows with this in name or arguments.", "TEXT")] = None,
    calls: Annotated[str | None, option("--calls", "Only rows whose text calls this.", "PROGRAM")] = None,
    world: Annotated[str | None, option("--world", "Only rows of this world.", "NAME")] = None,
    json: JsonOption = False,
) -> None:
    """List the rows of a library: name and arguments, what each calls, the version of its numbers, its file.

    Two rows are the same, number by number, where their versions are. Of a collection the rows of all members are
    listed, with the core of each; what another member answers for is left out. Libraries that come with the engine are
    known by their names (npi examples).

    \b
    Example:
      npi library list library
      npi library list library --calls SWAP --world list
      npi library list library --name max. --json
      npi library list few_shot
    """
    from npi.library.index import DIGITS, listings
    from npi.library.manifest import is_collection

    screen, library = Screen(json=json), shipped_or(library)
    several, found = is_collection(library), listings(library)
    every = [(one, card) for one in found for card in one.programs if card.name not in one.yields]
    shown = [(one, card) for one, card in every if _wanted(card, name, calls, world)]
    screen.table(
        shown,
        Column("program", lambda row: row[1].call),
        *[Column("core", lambda row: row[0].label)] * several,
        Column("version", lambda row: row[1].version[:DIGITS]),
        *[Column("learned", lambda row: row[1].learned_numbers)] * any(one.kind == "universal" for one in found),
        Column("from", lambda row: row[1].file or "traces"),
        Column("calls", lambda row: _short(row[1].calls) or ("" if row[1].file else "unknown")),
        Column("what it does", lambda row: row[1].doc),
    )
    of = f" of {len(every):,}" if len(shown) < len(every) else ""
    if not several:
        screen.line(f"{plural(len(shown), 'program')}{of}, {_numbers(found[0])}")
        screen.line(f"core {found[0].core}")
        screen.document({"library": library, "core": found[0].core, "rows": [_document(card) for _, card in shown]})
        return
    screen.line(f"{plural(len(shown), 'program')}{of}, {plural(len(found), 'core')}")
    for one in found:
        screen.line(f"core {one.label}: {one.core}, {_numbers(one)}")
    cores = [{"core": one.core, "kind": one.kind, "label": one.label, "yields": one.yields} for one in found]
    rows = [_document(card) | {"core": one.core, "kind": one.kind} for one, card in shown]
    screen.document({"library": library, "cores": cores, "rows": rows})


def _numbers(found: Listing) -> str:
    """How many numbers rows have."""
    if found.kind == "universal":
        return f"{found.config['code'] + found.config['features']} learned numbers for each state that decides"
    each = found.cards[0].numbers if found.cards else 0
    return f"{each} numbers ({file_size(4 * each)}) each"


def _short(names: Sequence[str]) -> str:
    """Names as the program's own text gives them."""
    return ", ".join(name.rpartition(".")[2] for name in names)


def _wanted(card: Card, name: str | None, calls: str | None, world: str | None) -> bool:
    called = {word for one in card.calls for word in (one, one.rpartition(".")[2])}
    return (
        (name is None or name.lower() in card.call.lower())
        and (calls is None or calls in called)
        and (world is None or world == card.world)
    )


def _document(card: Card) -> dict[str, Any]:
    told = {name: value for name, value in vars(card).items() if name != "wiring" or value is not None}
    return told | {"bytes": 4 * card.numbers}


def info(
    context: typer.Context,
    place: Annotated[Path, argument("A library's folder, or a row file.", "PLACE")],
    row: Annotated[str | None, argument("Such as MAX; needed for a library.", "PROGRAM")] = None,
    text: Annotated[bool, option("--text", "Print the program file that it was learned from.")] = False,
    core: CoreOption = None,
    json: JsonOption = False,
) -> None:
    """Tell all about one row of a library, or about what a row file holds.

    Of a row: what it calls and who calls it, in which versions, what it was learned together with, and how.

    \b
    Example:
      npi library info library MAX
      npi library info library MAX --text
      npi library info max.npirow
    """
    from npi.library.index import listing
    from npi.library.manifest import is_collection
    from npi.library.wiring import in_words

    screen, place = Screen(json=json), shipped_or(place)
    refuse_others(context, "row file" if place.is_file() else "library")
    if place.is_file():
        _file_info(screen, place)
        return
    if row is None:
        raise ValueError(f"{place} is a library: name a program of it too, or see all with npi library list {place}")
    found = listing(place, program=row, core=core)
    card = found.one(row)
    if text:
        held = [one for one in found.held if one.digest == card.source]
        if not held:
            raise ValueError(f"{card.name} was learned from traces alone; the library has no text of it")
        screen.line(held[0].sources[-1][1].rstrip("\n"))
        return
    about = {"core": found.label, **_about(found, card)} if is_collection(place) else _about(found, card)
    screen.line(f"{card.call}  {card.doc}")
    for label, value in about.items():
        screen.line(f"  {label:<10}{value}")
    screen.lines(in_words(card.wiring or (), card.arguments), indent="  ")
    screen.document(_document(card) | about)


def _about(found: Listing, card: Card) -> dict[str, str]:
    """Lines about a row, by their labels."""
    from npi.library.index import DIGITS

    versions = {one.name: one.version for one in found.cards}
    primitives = {one.name.rpartition(".")[2] for one in found.cards if one.primitive}
    called = [f"{n} {versions[n][:DIGITS]}" if n in versions else n for n in card.calls if n not in primitives]
    callers = [one.name for one in found.programs if card.name in one.calls and one.name != card.name]
    beside = [one.name for one in found.programs if one.generation == card.generation and one.name != card.name]
    first = card.generation == 0
    return {
        "version": card.version,
        "numbers": _numbers_of(card),
        "world": card.world,
        "file": card.file or "none: it was learned from traces",
        "calls": ", ".join([*called, *(n for n in card.calls if n in primitives)])
        or ("nothing" if card.file else "unknown"),
        "called by": ", ".join(callers) or "nothing",
        "learned": "with the core itself" if first else _how(found, card),
        "together": "with the core itself" if first else ", ".join(beside) or "alone",
    }


def _numbers_of(card: Card) -> str:
    from npi.library.wiring import deciding_states

    if card.wiring is None:
        return f"{card.numbers} ({file_size(4 * card.numbers)})"
    states = f"{plural(len(card.wiring), 'state')}, {deciding_states(card.wiring)} deciding"
    return f"{card.learned_numbers} learned, of {card.numbers:,} that a row has room for; {states}"


def _how(found: Listing, card: Card) -> str:
    """When and how a row was learned, as the history tells it."""
    for entry in reversed(found.history):
        learned = entry if card.name in entry.get("learned", ()) else None
        if card.name in entry.get("added", ()):
            learned = entry["entry"]
        if learned:
            told = {key: learned[key] for key in ("when", "from", "updates", "seed", "solved") if key in learned}
            lists = {key: ", ".join(map(str, value)) for key, value in told.items() if isinstance(value, list)}
            return ", ".join(f"{key} {value}" for key, value in (told | lists).items())
    return "not told"


def _file_info(screen: Screen, path: Path) -> None:
    from npi.library.index import DIGITS
    from npi.library.row_file import RowFile

    found = RowFile.open(path)
    screen.line(f"{path}: {plural(len(found.names), 'row')}, {plural(found.parameters, 'number')}, "
                f"{file_size(path.stat().st_size)} in all")  # fmt: skip
    screen.line(f"for core {found.core}")
    rows = []
    for package in found.packages:
        for card in package.infos:
            files = [held.file for held in package.texts if held.digest == card.source]
            rows.append(
                {
                    "program": card.name,
                    "version": package.versions[card.name][:DIGITS],
                    "from": (files or ["traces"])[0],
                    "needs": ", ".join(package.needs) or "nothing else",
                }
            )
    screen.table(rows, *map(Column, ("program", "version", "from", "needs")))
    screen.document(
        {
            "file": path,
            "bytes": path.stat().st_size,
            "numbers": found.parameters,
            **picked(found, "core engine"),
            "packages": [
                {"digest": p.digest, "rows": p.versions, "needs": p.needs, "learned": p.entry} for p in found.packages
            ],
        }
    )


def diff(
    first: LibraryArgument,
    second: SecondArgument,
    json: JsonOption = False,
) -> None:
    """Say what two libraries have of each other: the core, rows that only one has, rows that differ.

    Exit status 0 where they have the same core and the same rows, 1 where not.

    \b
    Example:
      npi library diff mine yours
    """
    from npi.library.index import DIGITS, difference, listing

    screen, first, second = Screen(json=json), shipped_or(first), shipped_or(second)
    one, two = listing(first), listing(second)
    found = difference(one, two)
    screen.line(f"core: the same, {one.core}" if found.core else f"core: {one.core} and {two.core}")
    if found.core and not found.first:
        screen.line("the rows that were trained with it are not the same")
    lines = [(card, card.version[:DIGITS], "") for card in found.only_first]
    lines += [(card, "", card.version[:DIGITS]) for card in found.only_second]
    lines += [(one, one.version[:DIGITS], other.version[:DIGITS]) for one, other in found.other]
    if lines:
        versions = Column(str(first), lambda line: line[1]), Column(str(second), lambda line: line[2])
        screen.table(lines, Column("row", lambda line: line[0].name), *versions)
    same = sum(card.name in {other.name for other in two.cards} for card in one.cards) - len(found.other)
    screen.line(f"{plural(same, 'row')} the same, {len(lines)} not")
    screen.document(
        {
            "same": found.same,
            "core": [one.core, two.core],
            "only_first": {card.name: card.version for card in found.only_first},
            "only_second": {card.name: card.version for card in found.only_second},
            "other": {a.name: [a.version, b.version] for a, b in found.other},
        }
    )
    finish(found.same)


def pack(
    library: LibraryArgument,
    programs: ProgramsArgument,
    out: Annotated[Path, output("--out", "The file to write.", "FILE.npirow", show_default=False)],
    alone: Annotated[
        bool, option("--alone", "Leave out learned programs that these call; they must be there.")
    ] = False,
    core: CoreOption = None,
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

    screen, library = Screen(json=json), shipped_or(library)
    found = packed(open_library(library, program=programs, core=core), programs, alone=alone)
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
    there already is left alone. Of a collection, the member of the files' core gets them.

    \b
    Example:
      npi library add library max.npirow
      npi library add library max.npirow --replace --out other
    """
    from npi.library.members import in_collection
    from npi.library.operations import RowFile
    from npi.library.operations import add as added

    with claimed_for(library, out):
        rows = [RowFile.open(path) for path in files]
        found = added(open_library(library, core=in_collection(library, rows[0].core)), rows, replace=replace)
        write_change(Screen(json=json), found, library, out)


def remove(
    library: LibraryArgument,
    programs: ProgramsArgument,
    callers: Annotated[bool, option("--with-callers", "Remove the programs that call them, too.")] = False,
    core: CoreOption = None,
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

    with claimed_for(library, out):
        found = removed(open_library(library, program=programs, core=core), programs, with_callers=callers)
        write_change(Screen(json=json), found, library, out)


COMMANDS = (
    ("list", list_rows, "List the rows of a library."),
    ("info", info, "Tell all about a row, or a row file."),
    ("pack", pack, "Write learned programs into a file."),
    ("add", add, "Add the rows of files."),
    ("remove", remove, "Remove learned programs."),
    ("diff", diff, "Compare two libraries."),
    ("merge", merge, "Combine libraries, of one core or several."),
    ("extract", extract, "Take one library out of a collection."),
)
