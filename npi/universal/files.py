"""New rows by the program files that they are written in, so that a file is one package, however it came to be learned.

``max.npi`` uses ``bubblesort.npi``. Whoever learns the one in an empty library learns the other with it; whoever learns
both in turn has the same two packages, number for number, and the libraries of both people are merged without a clash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl.program import ProgramSet
from npi.program_memory import RowInfo
from npi.training.dataset import Dataset
from traces.generation.generate import load_sources


def by_file(
    known: Sequence[RowInfo], fresh: Sequence[RowInfo], datasets: Sequence[Dataset]
) -> list[tuple[RowInfo, Dataset]]:
    """New rows, each with the dataset of its own file; a generation for each file, used files first.

    Args:
        known: rows that are there. fresh: those that datasets bring, in generations that are not taken.
    """
    owner = _owners(datasets)
    left, place = {info.name: info for info in fresh}, {info.name: info.generation for info in known}
    generation = max((info.generation for info in fresh), default=0)
    found: list[tuple[RowInfo, Dataset]] = []
    for dataset in owner:
        named = [signature.name for signature in dataset.table.programs]
        own = [left.pop(name) for name in named if name in left]
        sees = tuple(sorted({place[name] for name in named if name in place}))
        found += [(replace(i, source=dataset.source, generation=generation, sees=sees), dataset) for i in own]
        place |= dict.fromkeys([info.name for info in own], generation)
        generation += bool(own)
    assert not left, "every new row is named by a dataset"
    return found


def _owners(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets, and before each one those of the files that it uses."""
    found: dict[str, Dataset] = {}
    for number, dataset in enumerate(datasets):
        for programs in _used(dataset.programs) if dataset.programs is not None else []:
            part = replace(dataset, programs=programs, table=programs.table, source=programs.digest)
            found.setdefault(programs.digest, part)
        traced = f"traces {number}"  # they may say that they come from the same text, or from none
        found.setdefault(traced if dataset.programs is None else dataset.source, dataset)
    return list(found.values())


def _used(programs: ProgramSet) -> list[ProgramSet]:
    """The files that a file uses, each with what it uses in turn, in the order in which they depend on each other."""
    return [load_sources(programs.sources[:count]) for count in range(1, len(programs.sources))]
