"""Program files whose programs with bodies call programs with a signal: what runs those is given to them."""

from __future__ import annotations

from collections.abc import Sequence

from dsl.program import ProgramSet
from envs.stepper import Stepper
from envs.steppers.routed import Joined
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.program_files import some
from npi.library.row_file import row_versions


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
        known |= _versions(host)
    for host in more:
        versions = _versions(host)
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


def _versions(host: Library) -> dict[tuple[str, str], tuple[str, str]]:
    """Of each program, by name and world: its core, and what its row holds."""
    versions = row_versions(dict(host.memory.named_parameters()))
    core, worlds = host.core.digest(), host.core.worlds
    rows = zip(host.memory.infos, versions, strict=True)
    return {(i.name, worlds[i.world].digest): (core, version) for i, version in rows if not i.primitive}
