"""Libraries as goods: learned programs are packed into files, added, removed, and combined from several libraries.

Every function leaves the library that it is given as it is, and gives a new one beside the same core. No number of the
core or of a row that stays changes, and what the rows that stay put out is the same to the bit, which is checked.

>>> from npi import goods
>>> goods.pack(Library.open("mine"), ["max.MAX"]).save("max.npirow")
>>> goods.add(Library.open("yours"), [goods.RowFile.open("max.npirow")]).library.save("yours")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from envs.spec import check_signature
from npi import __version__
from npi.core.base import Core, tensors_digest
from npi.library.assembly import FIRST, Stock
from npi.library.fingerprint import fingerprint
from npi.library.hosting import joined
from npi.library.index import DIGITS, named
from npi.library.kinds import kind_of
from npi.library.library import Library, check_texts
from npi.library.manifest import LibraryError
from npi.library.program_files import Held, some
from npi.library.row_file import SUFFIX, Pack, RowFile

__all__ = ["SUFFIX", "Change", "Pack", "RowFile", "add", "merge", "pack", "remove"]


@dataclass(frozen=True)
class Change:
    """A library with other rows than one before.

    Attributes:
        library: as it is now.
        added, removed, there: names of rows; ``there`` are those that were to be added and were there already.
        core: sha256 of the core. rows: of the rows that were there before and are still there.
        outputs: sha256 of every logit of these rows in random configurations
            (:func:`npi.library.fingerprint.fingerprint`).
    """

    library: Library
    added: tuple[str, ...]
    removed: tuple[str, ...]
    there: tuple[str, ...]
    core: str
    rows: str
    outputs: str


def pack(library: Library, programs: Sequence[str], *, alone: bool = False) -> RowFile:
    """The rows of learned programs as a file's contents, and the learned ones that they need unless ``alone``.

    A program comes with all that was learned together with it. Rows of the core's first training are never packed:
    every library of the core has them.
    """
    stock = Stock(library)
    wanted = {_learned(stock, name, "packed") for name in programs}
    todo = list(wanted) if not alone else []
    while todo:
        more = set(stock.needed(todo.pop())) - wanted
        wanted |= more
        todo += more
    return _row_file(library, stock, [stock.pack(generation) for generation in sorted(wanted)])


def _row_file(library: Library, stock: Stock, packs: Sequence[Pack]) -> RowFile:
    used = {info.world for one in packs for info in one.infos}
    worlds = {i: (spec.digest, spec.name) for i, spec in enumerate(library.core.worlds) if i in used}
    return RowFile(library.core.digest(), stock.digest(FIRST), worlds, tuple(packs), __version__)


def _learned(stock: Stock, name: str, what: str) -> int:
    """The generation of a learned program; :class:`LibraryError` for another name."""
    programs = [i.name for infos in stock.infos.values() for i in infos if not i.primitive]
    found = named(name, programs)
    if stock.place[found] == FIRST:
        raise LibraryError(
            f"{found} was trained with the core itself, and is in every library of this core; only programs that were "
            f"learned later can be {what}"
        )
    return stock.place[found]


def add(library: Library, files: Sequence[RowFile], *, replace: bool = False) -> Change:
    """A library with the rows of the files.

    Raises :class:`LibraryError` where rows were learned for another core, where what they call is missing or has other
    numbers, and where a name stands for other rows already (unless ``replace``: then those go).
    """
    stock = Stock(library)
    before = stock.packs()
    there: list[str] = []
    for file in files:
        _check_core(stock, file, library)
        for one in file.packs:
            _offer(stock, one, first=file.first, place=file.place, clash="replace" if replace else "refuse",
                   there=there)  # fmt: skip
    return _change(library, stock, before, there)


def _check_core(stock: Stock, file: RowFile, library: Library) -> None:
    core = library.core.digest()
    if file.core != core:
        raise LibraryError(
            f"{file.place} is for another core: its rows were learned for core {file.core}, and the library has core "
            f"{core}; a row runs on its own core only, so learn the program here (npi learn)"
        )
    if library.core.lists_worlds:
        _check_worlds(library.core, file)
        return
    for index, (digest, name) in file.worlds.items():
        if not 0 <= index < len(library.core.worlds) or library.core.worlds[index].digest != digest:
            raise LibraryError(f"{file.place}: the core's world {index} is not {name} as it was; pack the rows again")
    for one in file.packs:
        for info in one.infos:
            check_signature(info.signature, tokens=len(library.core.worlds[info.world].tokens))


def _check_worlds(core: Core, file: RowFile) -> None:
    """Raise ``ValueError`` unless a core that lists worlds can run in the worlds that a file declares."""
    for one in file.packs:
        for info in one.infos:
            if info.world not in one.worlds:
                raise LibraryError(f"{file.place} does not declare the world of {info.name}; pack it again")
            spec = one.worlds[info.world]
            core.check_world(spec)
            check_signature(info.signature, tokens=len(spec.tokens))


def _offer(stock: Stock, one: Pack, *, first: str, place: str, clash: str, there: list[str]) -> None:
    """Put one pack into the stock, unless it is there; ``clash`` says what to do with other rows of its names."""
    taken = {stock.place[name] for name in one.names if name in stock.place}
    if [stock.digest(generation) for generation in taken] == [one.digest]:
        there.extend(one.names)
        return
    if taken and clash == "keep":
        return
    if taken and clash == "refuse":
        raise LibraryError(f"{place}: {_versions(stock, one)}; --replace puts the rows of the file in their place")
    if taken:
        _make_room(stock, taken, place)
    _check_callees(stock, one, place)
    if first != stock.digest(FIRST):
        raise LibraryError(
            f"{place}: the rows that were trained with the core are not those of this library (digest {first}, here "
            f"{stock.digest(FIRST)}), so its rows may meet others than they were learned with; learn the program here"
        )
    _check_parts(stock, one, place)
    stock.put(one)


def _versions(stock: Stock, one: Pack) -> str:
    """Which names stand for other rows already, in both versions."""
    parts = []
    for name in one.names:
        if name in stock.place:
            ours, theirs = stock.versions[name], one.versions[name]
            other = "the same, in a pack of other rows" if ours == theirs else f"{theirs[:DIGITS]} in the file"
            parts.append(f"{name} is there already, as version {ours[:DIGITS]} ({other})")
    return "; ".join(parts)


def _make_room(stock: Stock, taken: Iterable[int], place: str) -> None:
    """Drop packs whose names a new one takes; refused where others need them, or the core itself came with them."""
    taken = set(taken)
    if FIRST in taken:
        names = [info.name for info in stock.infos[FIRST] if not info.primitive]
        raise LibraryError(
            f"{place}: it has rows of names that were trained with the core itself ({some(names)}), which are never "
            "replaced; rename the program file, which qualifies the names, and learn it again"
        )
    users = stock.users(taken)
    if users:
        names = stock.names(taken)
        raise LibraryError(
            f"{place}: {some(names)} cannot be replaced while {_callers(stock, users, names)}; remove those first"
        )
    stock.drop(taken)


def _check_callees(stock: Stock, one: Pack, place: str) -> None:
    """Raise :class:`LibraryError` unless all that the pack needs is there with the same numbers."""
    needs = one.needs or {}
    missing = [name for name in needs if name not in stock.place]
    if missing:
        raise LibraryError(
            f"{place}: {one.names[-1]} needs {some(missing)}, which the library does not have; add the file of "
            f"{'it' if len(missing) == 1 else 'them'} first, or pack without --alone"
        )
    other = [name for name, version in needs.items() if not stock.versions[name].startswith(version)]
    if other:
        name = other[0]
        raise LibraryError(
            f"{place}: {one.names[-1]} was learned with other numbers of {some(other)} (of {name}: version "
            f"{needs[name][:DIGITS]}, here {stock.versions[name][:DIGITS]}); add those that it was learned with, or "
            "learn it again here"
        )
    seen = {stock.digest(stock.place[name]) for name in needs} - {stock.digest(FIRST)}
    if seen != set(one.sees):
        raise LibraryError(f"{place}: what {one.names[-1]} needs was learned together with other rows; learn it here")


def _check_parts(stock: Stock, one: Pack, place: str) -> None:
    """Raise :class:`LibraryError` where numbers do not fit the core, or a program has another text here."""
    ours = stock.none
    if any(part.shape[1:] != ours[name].shape[1:] or part.dtype != ours[name].dtype
           for name, part in one.numbers.items()):  # fmt: skip
        raise LibraryError(f"{place}: its rows do not have as many numbers as rows of this core; it is no file for it")
    every = [info for name in one.needs or () for info in stock.infos[stock.place[name]]]
    needed = [(info, stock.worlds[info.world]) for info in every if info.name in (one.needs or ())]
    needed += [(info, host.core.worlds[info.world]) for host in stock.hosts for info in host.memory.infos]
    kind_of(stock.core).check_rows(stock.core, one, needed, place=place)
    beside = {stock.place[name] for name in one.needs or ()} | {FIRST}
    sources = {info.source for generation in beside for info in stock.infos.get(generation, ())}
    known = [stock.held[source] for source in sources if source in stock.held]
    same = {(source, text) for held in known for source, text in held.sources}
    for held in one.texts:
        used = [source for source in held.sources if source not in same]
        doubtful = [other for other in known if other.stems & {Held((source,), "").stem for source in used}]
        if doubtful:
            check_texts([*(other.programs for other in doubtful), held.programs])


def remove(library: Library, programs: Sequence[str], *, with_callers: bool = False) -> Change:
    """A library without learned programs, and without what was learned only for them to call.

    Raises :class:`LibraryError` where others call them, and names those; ``with_callers`` removes them as well. What
    was trained with the core stays.
    """
    stock = Stock(library)
    before = stock.packs()
    names = [named(name, [i.name for infos in stock.infos.values() for i in infos if not i.primitive])
             for name in programs]  # fmt: skip
    gone = {_learned(stock, name, "removed") for name in names}
    if not with_callers:
        _check_alone(stock, gone, names)
    gone |= set(stock.users(gone))
    stock.drop(gone)
    return _change(library, stock, before, [])


def _check_alone(stock: Stock, gone: set[int], names: Sequence[str]) -> None:
    """Raise :class:`LibraryError` where rows of other packs, or of these, would be left without what they call."""
    users = stock.users(gone)
    if users:
        raise LibraryError(
            f"{some(names)} cannot be removed: {_callers(stock, users, stock.names(gone))}; remove those too, or give "
            "--with-callers"
        )
    for generation in gone:
        calls = stock.calls(generation)
        reached = [name for name in names if stock.place[name] == generation]
        for name in reached:
            reached += [c for c in calls.get(name, ()) if c not in reached and stock.place.get(c) == generation]
        rest = [info.name for info in stock.infos[generation] if info.name not in reached]
        callers = [name for name in rest if set(calls.get(name, ())) & set(reached)]
        if rest:
            together = f"{some(rest)} {'was' if len(rest) == 1 else 'were'} learned together with it"
            why = f"{some(callers)} {'calls' if len(callers) == 1 else 'call'} it" if callers else together
            raise LibraryError(
                f"{some(names)} cannot be removed alone: {why}, and rows that were learned together are one pack; "
                "name those too, or give --with-callers"
            )


def _callers(stock: Stock, users: Iterable[int], names: Sequence[str]) -> str:
    """``max.MAX calls them``: rows of packs that need some names, those that call them where the texts tell."""
    every = [(name, called) for g in users for name, called in stock.calls(g).items()]
    direct = [name for name, called in every if set(called) & set(names)]
    found = direct or stock.names(set(users))
    return f"{some(found)} {'calls' if len(found) == 1 else 'call'} {some(names) if len(names) == 1 else 'them'}"


def merge(first: Library, second: Library, *, prefer: str | None = None) -> Change:
    """The rows of two libraries of one core in one: the first one, and what only the second has, hosts too.

    Args:
        prefer: ``"first"`` or ``"second"`` where both have other rows of one name; an error without.
    """
    stock, other = Stock(first), Stock(second)
    before = stock.packs()
    if first.core.digest() != second.core.digest():
        raise LibraryError(
            f"the libraries have different cores, {first.core.digest()} and {second.core.digest()}; rows run on the "
            "core that they were learned for, so learn the programs of one in the other (npi learn)"
        )
    packs = [other.pack(generation, first=False) for generation in sorted(other.infos) if generation != FIRST]
    if prefer is None:
        _check_conflicts(stock, packs)
    stock.hosts = joined(stock.hosts, other.hosts)
    there: list[str] = []
    for one in packs:
        clash = "replace" if prefer == "second" else "keep"
        _offer(stock, one, first=other.digest(FIRST), place="the second library", clash=clash, there=there)
    _take_tasks(stock, other)
    return _change(first, stock, before, there)


def _check_conflicts(stock: Stock, packs: Sequence[Pack]) -> None:
    """Raise :class:`LibraryError` that names all rows of one name and different numbers, with both versions."""
    found = []
    for one in packs:
        taken = {stock.place[name] for name in one.names if name in stock.place}
        if taken and [stock.digest(generation) for generation in taken] != [one.digest]:
            clashing = [name for name in one.names if name in stock.place]
            found += [f"{n} ({stock.versions[n][:DIGITS]} in the first, {one.versions[n][:DIGITS]} in the second)"
                      for n in clashing]  # fmt: skip
    if found:
        raise LibraryError(f"both libraries have other rows of one name: {some(found)}; say --prefer first or second")


def _take_tasks(stock: Stock, other: Stock) -> None:
    """Program files of the other library that brought it no row, only tasks, where all their programs are here."""
    sources = {info.source for infos in other.infos.values() for info in infos}
    for digest, held in other.held.items():
        fresh = digest not in sources and digest not in stock.held
        if fresh and all(program.name in stock.place for program in held.programs.programs):
            stock.held[digest] = held


def _change(library: Library, stock: Stock, before: Mapping[str, str], there: Sequence[str]) -> Change:
    """The library that the stock makes, held against the one before."""
    found, after = stock.library(), stock.packs()
    stay = [name for name, digest in before.items() if after.get(name) == digest]
    rows, outputs = _digests(library, stay)
    assert (rows, outputs) == _digests(found, stay), "rows that should stay were changed"
    return Change(
        library=found,
        added=tuple(name for name, digest in after.items() if before.get(name) != digest),
        removed=tuple(name for name, digest in before.items() if after.get(name) != digest),
        there=tuple(there),
        core=found.core.digest(),
        rows=rows,
        outputs=outputs,
    )


def _digests(library: Library, names: Sequence[str]) -> tuple[str, str]:
    """sha256 of the numbers of some rows, and of what they put out."""
    places = {info.name: place for place, info in enumerate(library.memory.infos)}
    rows = [places[name] for name in names]
    numbers = {name: part[rows] for name, part in library.memory.state_dict().items()}
    return tensors_digest(numbers), fingerprint(library.core, library.memory, rows)
