"""Program files whose programs with bodies call programs with a signal: what runs those is given to them."""

from __future__ import annotations

from collections.abc import Sequence

from dsl.program import ProgramSet
from envs.joined import Joined
from npi.library import Library
from npi.manifest import LibraryError
from traces.stepper import Stepper


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
    steppers = [(host.hosted(table, sorted(mine)), mine) for host, mine in zip(hosts, ids, strict=True) if mine]
    found: Stepper = steppers[0][0]
    for stepper, mine in steppers[1:]:
        found = Joined(found, stepper, mine, table)
    return programs.hosting(found)
