"""``npi library list``, ``info`` and ``diff``: what rows libraries and row files hold."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import Column, Screen, finish
from npi.cli.options import JsonOption, argument, option, refuse_others
from npi.cli.words import file_size, plural

if TYPE_CHECKING:
    from npi.library.index import Card, Listing

LibraryArgument = Annotated[Path, argument("A library's folder.", "LIBRARY")]


def list_rows(
    library: LibraryArgument,
    name: Annotated[str | None, option("--name", "Only rows with this in name or arguments.", "TEXT")] = None,
    calls: Annotated[str | None, option("--calls", "Only rows whose text calls this.", "PROGRAM")] = None,
    world: Annotated[str | None, option("--world", "Only rows of this world.", "NAME")] = None,
    json: JsonOption = False,
) -> None:
    """List the rows of a library: name and arguments, what each calls, the version of its numbers, its file.

    Two rows are the same, number by number, where their versions are.

    \b
    Example:
      npi library list library
      npi library list library --calls SWAP --world list
      npi library list library --name max. --json
    """
    from npi.library.index import DIGITS, listing

    screen, found = Screen(json=json), listing(library)
    shown = [card for card in found.programs if _wanted(card, name, calls, world)]
    universal = found.kind == "universal"
    screen.table(
        shown,
        Column("program", "call"),
        Column("version", lambda card: card.version[:DIGITS]),
        *[Column("learned", "learned_numbers")] * universal,
        Column("from", lambda card: card.file or "traces"),
        Column("calls", lambda card: _short(card.calls, card)),
        Column("what it does", "doc"),
    )
    of = f" of {len(found.programs):,}" if len(shown) < len(found.programs) else ""
    screen.line(f"{plural(len(shown), 'program')}{of}, {_numbers(found)}")
    screen.line(f"core {found.core}")
    screen.document({"library": library, "core": found.core, "rows": [_document(card) for card in shown]})


def _numbers(found: Listing) -> str:
    """How many numbers rows have."""
    if found.kind == "universal":
        return f"{found.config['code'] + found.config['features']} learned numbers for each state that decides"
    each = found.cards[0].numbers if found.cards else 0
    return f"{each} numbers ({file_size(4 * each)}) each"


def _wanted(card: Card, name: str | None, calls: str | None, world: str | None) -> bool:
    called = {word for one in card.calls for word in (one, one.rpartition(".")[2])}
    return (
        (name is None or name.lower() in card.call.lower())
        and (calls is None or calls in called)
        and (world is None or world == card.world)
    )


def _short(names: tuple[str, ...], card: Card) -> str:
    """Names as the program's own text gives them."""
    return ", ".join(name.rpartition(".")[2] for name in names) or ("" if card.file else "unknown")


def _document(card: Card) -> dict[str, Any]:
    told = {name: value for name, value in vars(card).items() if name != "wiring" or value is not None}
    return told | {"bytes": 4 * card.numbers}


def info(
    context: typer.Context,
    place: Annotated[Path, argument("A library's folder, or a row file.", "PLACE")],
    row: Annotated[str | None, argument("Such as MAX; needed for a library.", "PROGRAM")] = None,
    text: Annotated[bool, option("--text", "Print the program file that it was learned from.")] = False,
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
    from npi.library.wiring import in_words

    screen = Screen(json=json)
    refuse_others(context, "row file" if place.is_file() else "library")
    if place.is_file():
        _file_info(screen, place)
        return
    found = listing(place)
    if row is None:
        raise ValueError(f"{place} is a library: name a program of it too, or see all with npi library list {place}")
    card = found.one(row)
    if text:
        held = [one for one in found.held if one.digest == card.source]
        if not held:
            raise ValueError(f"{card.name} was learned from traces alone; the library has no text of it")
        screen.line(held[0].sources[-1][1].rstrip("\n"))
        return
    about = _about(found, card)
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
            keys = [key for key in ("when", "from", "updates", "seed", "solved") if key in learned]
            return ", ".join(f"{key} {_plain(learned[key])}" for key in keys)
    return "not told"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _file_info(screen: Screen, path: Path) -> None:
    from npi.library.index import DIGITS
    from npi.library.row_file import RowFile

    found = RowFile.open(path)
    screen.line(f"{path}: {plural(len(found.names), 'row')}, {plural(found.parameters, 'number')}, "
                f"{file_size(path.stat().st_size)} in all")  # fmt: skip
    screen.line(f"for core {found.core}")
    rows = []
    for package in found.packages:
        needs = ", ".join(name for name in package.needs) or "nothing else"
        for card in package.infos:
            files = [held.file for held in package.texts if held.digest == card.source]
            rows.append((card.name, package.versions[card.name][:DIGITS], *(files or ["traces"]), needs))
    headings = ("program", "version", "from", "needs")
    screen.table(rows, *(Column(heading, itemgetter(place)) for place, heading in enumerate(headings)))
    screen.document(
        {
            "file": path,
            "bytes": path.stat().st_size,
            "numbers": found.parameters,
            "core": found.core,
            "engine": found.engine,
            "packages": [
                {"digest": p.digest, "rows": p.versions, "needs": p.needs, "learned": p.entry} for p in found.packages
            ],
        }
    )


def diff(
    first: LibraryArgument,
    second: Annotated[Path, argument("Another one.", "LIBRARY")],
    json: JsonOption = False,
) -> None:
    """Say what two libraries have of each other: the core, rows that only one has, rows that differ.

    Exit status 0 where they have the same core and the same rows, 1 where not.

    \b
    Example:
      npi library diff mine yours
    """
    from npi.library.index import DIGITS, difference, listing

    screen = Screen(json=json)
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
