"""Package operations: learned programs are packed into files, added, removed, and combined from several libraries.

Every function leaves the library that it is given as it is, and gives a new one beside the same core. No parameter of
the core or of a row that stays changes, and what the rows that stay put out is bit-identical, which is checked.

>>> from npi.library import operations
>>> operations.pack(Library.open("mine"), ["max.MAX"]).save("max.npirow")
>>> operations.add(Library.open("yours"), [operations.RowFile.open("max.npirow")]).library.save("yours")
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsl.program import ProgramSet
from envs.spec import check_signature
from envs.stepper import Stepper
from envs.steppers.routed import Joined
from npi import __version__
from npi.core.base import Core, tensors_digest
from npi.library.assembly import FIRST, Assembly
from npi.library.index import DIGITS
from npi.library.kinds import fingerprint, kind_of
from npi.library.library import Library, check_texts
from npi.library.manifest import LibraryError
from npi.library.members import in_collection
from npi.library.program_files import Held, named, some
from npi.library.row_file import SUFFIX, RowFile, RowPackage, row_versions

__all__ = ["SUFFIX", "Change", "RowFile", "RowPackage", "add", "carried", "merge", "pack", "remove"]


@dataclass(frozen=True)
class Change:
    """A library with other rows than one before.

    Attributes:
        added, removed, there: names of rows; ``there`` are those that were to be added and were there already.
        core: sha256 of the core. rows: of the rows that were there before and are still there.
        outputs: sha256 of what these rows put out (:func:`npi.library.kinds.fingerprint`).
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
    here = Assembly(library)
    wanted = {_learned(here, name, "packed") for name in programs}
    todo = list(wanted) if not alone else []
    while todo:
        more = set(here.needed(todo.pop())) - wanted
        wanted |= more
        todo += more
    packages = tuple(here.package(generation) for generation in sorted(wanted))
    return RowFile(library.core.digest(), here.digest(FIRST), packages, __version__)


def _learned(here: Assembly, name: str, what: str) -> int:
    """The generation of a learned program; :class:`LibraryError` for another name."""
    found = named(name, here.programs())
    if here.place[found] == FIRST:
        raise LibraryError(
            f"{found} was trained with the core itself, and is in every library of this core; only programs that were "
            f"learned later can be {what}"
        )
    return here.place[found]


def add(library: Library, files: Sequence[RowFile], *, replace: bool = False) -> Change:
    """A library with the rows of the files.

    Raises :class:`LibraryError` where rows were learned for another core, where what they call is missing or has other
    parameters, and where a name stands for other rows already (unless ``replace``: then those go).
    """
    here, core = Assembly(library), library.core.digest()
    before, there = here.digests(), list[str]()
    for file in files:
        if file.core != core:
            raise LibraryError(
                f"{file.place} is for another core: its rows were learned for core {file.core}, and the library has "
                f"core {core}; a row runs on its own core only, so learn the program here (npi learn)"
            )
        for package in file.packages:
            clash = "replace" if replace else "refuse"
            there += _put(here, package, first=file.first, place=file.place, clash=clash)
    return _change(library, here, before, there)


def merge(first: Library, *others: Library, prefer: str | None = None) -> Change:
    """The rows of libraries of one core in one: the first one, and what only a later one has, hosts too.

    Args:
        prefer: ``"first"`` or ``"second"`` where one and those before it have other rows of one name; an error without.
    """
    here = Assembly(first)
    before, there = here.digests(), list[str]()
    for other in others:
        there += _join(here, Assembly(other), prefer)
    return _change(first, here, before, there)


def _join(here: Assembly, other: Assembly, prefer: str | None) -> list[str]:
    """Add what another library has; names of rows that were there already."""
    if here.core.digest() != other.core.digest():
        raise LibraryError(
            f"the libraries have different cores, {here.core.digest()} and {other.core.digest()}; rows run on the "
            "core that they were learned for, so learn the programs of one in the other (npi learn)"
        )
    there = list[str]()
    packages = [other.package(generation, first=False) for generation in sorted(other.packages) if generation != FIRST]
    if prefer is None:
        _check_conflicts(here, packages)
    here.hosts = joined(here.hosts, other.hosts)
    for package in packages:
        clash = "replace" if prefer == "second" else "keep"
        there += _put(here, package, first=other.digest(FIRST), place="the second library", clash=clash)
    # Files that brought the other library no row, only tasks, where all their programs are here.
    sources = {info.source for package in other.packages.values() for info in package.infos}
    for digest, held in other.held.items():
        fresh = digest not in sources and digest not in here.held
        if fresh and all(program.name in here.place for program in held.programs.programs):
            here.held[digest] = held
    return there


def carried(folder: Path | str, library: Library, names: Sequence[str]) -> Library:
    """What a folder holds now, and the rows of these names, which were learned into what it held before.

    Raises :class:`LibraryError` where they no longer fit: what they call has changed, or their names are taken.
    """
    found = Library.open(folder, core=in_collection(folder, library.core.digest()))
    try:
        found.hosts = joined(found.hosts, library.hosts)
        return add(found, [pack(library, names, alone=True)]).library
    except LibraryError as error:
        raise LibraryError(
            f"another process has changed {folder} while {some(names)} were learned, and they do not fit what it holds "
            f"now ({error}); learn them again"
        ) from error


def remove(library: Library, programs: Sequence[str], *, with_callers: bool = False) -> Change:
    """A library without learned programs, and without what was learned only for them to call.

    Raises :class:`LibraryError` where others call them, and names those; ``with_callers`` removes them as well. What
    was trained with the core stays.
    """
    here = Assembly(library)
    before = here.digests()
    names = [named(name, here.programs()) for name in programs]
    gone = {_learned(here, name, "removed") for name in names}
    if not with_callers:
        _check_alone(here, gone, names)
    here.drop(gone | set(here.users(gone)))
    return _change(library, here, before, ())


def _put(here: Assembly, package: RowPackage, *, first: str, place: str, clash: str) -> tuple[str, ...]:
    """Add a package, unless it is there: then its names. ``clash`` says what to do with other rows of its names."""
    taken = here.clashing(package)
    if [here.digest(generation) for generation in taken] == [package.digest]:
        return package.names
    if taken and clash == "keep":
        return ()
    if taken and clash == "refuse":
        raise LibraryError(f"{place}: {_versions(here, package)}; --replace puts the rows of the file in their place")
    if taken:
        _make_room(here, taken, place)
    _check_worlds(here.core, package)
    _check_callees(here, package, place)
    if first != here.digest(FIRST):
        raise LibraryError(
            f"{place}: the rows that were trained with the core are not those of this library (digest {first}, here "
            f"{here.digest(FIRST)}), so its rows may meet others than they were learned with; learn the program here"
        )
    _check_parts(here, package, place)
    here.put(package)
    return ()


def _versions(here: Assembly, package: RowPackage) -> str:
    """Which names stand for other rows already, in both versions."""
    parts = []
    for name in package.names:
        if name in here.place:
            ours, theirs = here.version(name), package.versions[name]
            other = "the same, in a pack of other rows" if ours == theirs else f"{theirs[:DIGITS]} in the file"
            parts.append(f"{name} is there already, as version {ours[:DIGITS]} ({other})")
    return "; ".join(parts)


def _check_conflicts(here: Assembly, packages: Sequence[RowPackage]) -> None:
    """Raise :class:`LibraryError` that names all rows of one name and different parameters, with both versions."""
    found = []
    for package in packages:
        taken = here.clashing(package)
        if taken and [here.digest(generation) for generation in taken] != [package.digest]:
            found += [
                f"{n} ({here.version(n)[:DIGITS]} in the first, {package.versions[n][:DIGITS]} in the second)"
                for n in package.names
                if n in here.place
            ]
    if found:
        raise LibraryError(f"both libraries have other rows of one name: {some(found)}; say --prefer first or second")


def _make_room(here: Assembly, taken: set[int], place: str) -> None:
    """Drop packages whose names a new one takes; refused where others need them, or the core itself came with them."""
    if FIRST in taken:
        names = [info.name for info in here.packages[FIRST].infos if not info.primitive]
        raise LibraryError(
            f"{place}: it has rows of names that were trained with the core itself ({some(names)}), which are never "
            "replaced; rename the program file, which qualifies the names, and learn it again"
        )
    if users := here.users(taken):
        names = here.names(taken)
        raise LibraryError(
            f"{place}: {some(names)} cannot be replaced while {_callers(here, users, names)}; remove those first"
        )
    here.drop(taken)


def _check_worlds(core: Core, package: RowPackage) -> None:
    """Raise ``ValueError`` unless the core can run in the worlds of a package."""
    for info in package.infos:
        spec = package.worlds[info.world]
        core.check_world(spec)
        check_signature(info.signature, tokens=len(spec.tokens))


def _check_callees(here: Assembly, package: RowPackage, place: str) -> None:
    """Raise :class:`LibraryError` unless all that the package needs is there with the same parameters."""
    needs = package.needs
    if missing := [name for name in needs if name not in here.place]:
        raise LibraryError(
            f"{place}: {package.names[-1]} needs {some(missing)}, which the library does not have; add the file of "
            f"{'it' if len(missing) == 1 else 'them'} first, or pack without --alone"
        )
    if other := [name for name, version in needs.items() if not here.version(name).startswith(version)]:
        name = other[0]
        raise LibraryError(
            f"{place}: {package.names[-1]} was learned with other numbers of {some(other)} (of {name}: version "
            f"{needs[name][:DIGITS]}, here {here.version(name)[:DIGITS]}); add those that it was learned with, or "
            "learn it again here"
        )
    if {here.digest(here.place[name]) for name in needs} - {here.digest(FIRST)} != set(package.sees):
        raise LibraryError(
            f"{place}: what {package.names[-1]} needs was learned together with other rows; learn it here"
        )


def _check_parts(here: Assembly, package: RowPackage, place: str) -> None:
    """Raise :class:`LibraryError` where rows do not fit the core, or a program has another text here."""
    ours = here.empty.parameters
    if any(part.shape[1:] != ours[name].shape[1:] or part.dtype != ours[name].dtype
           for name, part in package.parameters.items()):  # fmt: skip
        raise LibraryError(f"{place}: its rows do not have as many numbers as rows of this core; it is no file for it")
    needed = [(info, here.worlds[info.world]) for info in map(here.info, package.needs)]
    needed += [(info, host.core.worlds[info.world]) for host in here.hosts for info in host.memory.infos]
    kind_of(here.core).check_rows(here.core, package, needed, place)
    beside = {here.place[name] for name in package.needs} | {FIRST} & here.packages.keys()
    known = {held.digest: held for generation in beside for held in here.texts(generation)}.values()
    same = {(source, text) for held in known for source, text in held.sources}
    for held in package.texts:
        used = [source for source in held.sources if source not in same]
        doubtful = [other for other in known if other.stems & {Held((source,), "").stem for source in used}]
        if doubtful:
            check_texts([*(other.programs for other in doubtful), held.programs])


def _check_alone(here: Assembly, gone: set[int], names: Sequence[str]) -> None:
    """Raise :class:`LibraryError` where rows of other packages, or of these, would be left without what they call."""
    if users := here.users(gone):
        raise LibraryError(
            f"{some(names)} cannot be removed: {_callers(here, users, here.names(gone))}; remove those too, or give "
            "--with-callers"
        )
    for generation in gone:
        calls = here.calls(generation)
        reached = [name for name in names if here.place[name] == generation]
        for name in reached:
            reached += [c for c in calls.get(name, ()) if c not in reached and here.place.get(c) == generation]
        rest = [name for name in here.packages[generation].names if name not in reached]
        callers = [name for name in rest if set(calls.get(name, ())) & set(reached)]
        if rest:
            together = f"{some(rest)} {'was' if len(rest) == 1 else 'were'} learned together with it"
            why = f"{some(callers)} {'calls' if len(callers) == 1 else 'call'} it" if callers else together
            raise LibraryError(
                f"{some(names)} cannot be removed alone: {why}, and rows that were learned together are one pack; "
                "name those too, or give --with-callers"
            )


def _callers(here: Assembly, users: Collection[int], names: Sequence[str]) -> str:
    """``max.MAX calls them``: rows of packages that need some names, those that call them where the texts tell."""
    every = [(name, called) for generation in users for name, called in here.calls(generation).items()]
    direct = [name for name, called in every if set(called) & set(names)]
    found = direct or here.names(users)
    return f"{some(found)} {'calls' if len(found) == 1 else 'call'} {some(names) if len(names) == 1 else 'them'}"


def _change(library: Library, here: Assembly, before: Mapping[str, str], there: Sequence[str]) -> Change:
    """The library that comes out, held against the one before."""
    found, after = here.library(), here.digests()
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
    """sha256 of some rows, and of what they put out."""
    places = {info.name: place for place, info in enumerate(library.memory.infos)}
    rows = [places[name] for name in names]
    parameters = {name: part[rows] for name, part in library.memory.state_dict().items()}
    return tensors_digest(parameters), fingerprint(library.core, library.memory, rows)


def hosting(programs: ProgramSet, hosts: Sequence[Library]) -> ProgramSet:
    """The file, with the hosts that run its programs with a signal; itself where it has none.

    Raises :class:`LibraryError` for a program with a signal that no host has.
    """
    if not programs.signals:
        return programs
    table = programs.table
    ids = [set(host.hosted_ids(table)) for host in hosts]
    for program in programs.signals:
        if not any(program.id in mine for mine in ids):
            raise LibraryError(
                f"{program.name} has a signal in place of a body, and nothing that was learned runs it here: learn it "
                "first (npi train FILE --out DIR, on the file that declares it), then give --host DIR"
            )
    steppers = [(host.runs(table, sorted(mine)), mine) for host, mine in zip(hosts, ids, strict=True) if mine]
    found: Stepper = steppers[0][0]
    for stepper, mine in steppers[1:]:
        found = Joined(found, stepper, mine, table)
    return programs.hosting(found)


def joined(hosts: Sequence[Library], more: Sequence[Library]) -> list[Library]:
    """Hosts, and those of ``more`` that have what none of them has.

    Raises :class:`LibraryError` where a program has other rows in two of them: callers learned with one of these only.
    """
    found = list(hosts)
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for host in hosts:
        known |= _host_versions(host)
    for host in more:
        versions = _host_versions(host)
        clashing = [name for name, version in versions.items() if known.get(name, version) != version]
        if clashing:
            raise LibraryError(
                f"two libraries that run programs with a signal have different rows of {some(n for n, _ in clashing)}, "
                "and callers were learned with one of them; learn the callers anew with one library (--host)"
            )
        if versions.keys() - known.keys():
            found.append(host)
            known |= versions
    return found


def _host_versions(host: Library) -> dict[tuple[str, str], tuple[str, str]]:
    """Of each program, by name and world: its core, and what its row holds."""
    versions = row_versions(dict(host.memory.named_parameters()))
    core, worlds = host.core.digest(), host.core.worlds
    rows = zip(host.memory.infos, versions, strict=True)
    return {(i.name, worlds[i.world].digest): (core, version) for i, version in rows if not i.primitive}
