"""Certificates forged for cores that are wrong: lists, domains, programs, hashes and texts made to fit."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults.changes import command
from benchmarks.proofs.certify import corrupted, differing
from dsl import loads
from dsl.program import ProgramSet
from envs.scratchpad.config import PadConfig
from envs.stepper import Observation
from npi.library.library import Library
from npi.proof.certificate import Certificate, CertifiedFile, CertifiedProgram, table_rows
from npi.proof.prove import certificate_of, certify, prove

MUTANTS = 4
"""Wrong cores."""

ARGUMENT, NODE, CODE, HEAD = 0, 3, 4, 5
"""Columns of a configuration: the first argument, the place in the text, the state code, the first field."""

Forged = Iterator[tuple[str, Certificate]]


def forgeries(place: Path, text: Path, *, seed: int = 0, mutants: int = MUTANTS) -> dict[str, dict[str, int]]:
    """Forge certificates of a certified library for wrong cores, and check them as a user does who names the text.

    Returns for each kind how many were ``tried``, ``refused`` (exit status 2), told to be void, wrong or ``not whole``
    (1), and ``accepted`` (0).
    """
    library, found = Library.open(place), dict[str, dict[str, int]]()
    certificate = certificate_of(library, prove(library))
    generator = torch.Generator().manual_seed(seed)
    with tempfile.TemporaryDirectory() as name:
        folder, file = Path(name) / "library", Path(name) / "forged.certificate"
        for number in range(mutants):
            if number % 2:
                mutant = wrong_about_a_symbol(library, certificate, generator=generator)
            else:
                mutant = wrong_core(library, certificate, rows=bool(number % 4), generator=generator)
            replace(mutant, origin=None).save(folder)
            for kind, forged in (*lists(library, mutant, certificate), *claims(mutant, certificate)):
                forged.save(file)
                _count(found, kind, command(["certify", "--check", str(file), "--library", str(folder), str(text)]))
            for kind, forged, sets in texts(mutant, certificate):
                replace(mutant, sets=sets, origin=None).save(folder)
                forged.save(file)
                _count(found, kind, command(["certify", "--check", str(file), "--library", str(folder), str(text)]))
    return found


def _count(found: dict[str, dict[str, int]], kind: str, outcome: tuple[str, str]) -> None:
    mine = found.setdefault(kind, dict.fromkeys(("tried", "refused", "not whole", "accepted"), 0))
    mine["tried"] += 1
    mine[{"taken": "accepted", "failed": "not whole"}.get(outcome[0], "refused")] += 1


def wrong_core(library: Library, certificate: Certificate, *, rows: bool, generator: torch.Generator) -> Library:
    """A corrupted core that decides otherwise in some configuration that was certified."""
    while True:
        mutant = corrupted(library, rows=rows, generator=generator)
        numbers = (*mutant.core.parameters(), *mutant.memory.parameters())
        if differing(library, mutant, certificate) and all(bool(part.isfinite().all()) for part in numbers):
            return mutant


def wrong_about_a_symbol(library: Library, certificate: Certificate, *, generator: torch.Generator) -> Library:
    """A core that decides otherwise in some configuration, all of which show one symbol under one pointer."""
    adapter, size = library.core.adapter(0), 1.0
    fields = library.core.worlds[0].fields
    while True:
        mutant = Library(copy.deepcopy(library.core), copy.deepcopy(library.memory), library.sets)
        field, value = (int(torch.randint(n, (1,), generator=generator)) for n in (len(fields), 10_000))
        table = mutant.core.adapter(0).table
        with torch.no_grad():
            place = int(adapter.offsets[field]) + value % fields[field].size
            table[place] += size * torch.randn(table.shape[1], generator=generator)
        if differing(library, mutant, certificate):
            return mutant
        size *= 1.5


def fitted(certificate: Certificate, mutant: Library, file: CertifiedFile, **changes: Any) -> Certificate:
    """The certificate with one file's entry changed, and the hashes of the wrong core and rows."""
    programs = mutant.file(file.digest)
    rows = table_rows(mutant, programs) if programs is not None else file.rows
    return replace(certificate, core=mutant.core.digest(), files=(replace(file, rows=rows, **changes),))


def wrong_rows(library: Library, mutant: Library, file: CertifiedFile, program: CertifiedProgram) -> torch.Tensor:
    """bool: in which configurations the cores decide differently."""
    programs = library.file(file.digest)
    assert programs is not None
    rows, spec = program.configurations.to(torch.int64), programs.world.spec
    obs = torch.zeros(len(rows), len(spec.fields), dtype=torch.int64)
    for column, name in enumerate(program.fields, start=HEAD):
        obs[:, spec.field(name)] = rows[:, column]
    which = torch.full((len(rows),), programs.table.id(program.name))
    one, two = (
        x.stepper(programs.table, memo=False).step(Observation(obs), which, rows[:, :3], rows[:, CODE:HEAD]).call_B4
        for x in (library, mutant)
    )
    return (one != two).any(1)


def lists(library: Library, mutant: Library, certificate: Certificate) -> Forged:
    """Other lists of configurations, domains and programs, with all hashes made to fit."""
    (file,) = certificate.files
    programs = library.file(file.digest)
    assert programs is not None
    wrong = {p.name: wrong_rows(library, mutant, file, p) for p in file.programs}

    def with_lists(change: Callable[[CertifiedProgram], torch.Tensor], **more: Any) -> Certificate:
        changed = (replace(p, configurations=change(p)) for p in file.programs)
        return fitted(certificate, mutant, file, programs=tuple(changed), **more)

    def right(program: CertifiedProgram) -> torch.Tensor:
        return program.configurations[~wrong[program.name]]

    yield "the list of the right core", fitted(certificate, mutant, file)
    yield "wrong configurations removed", with_lists(right)
    yield "no configurations", with_lists(lambda p: p.configurations[:0])
    yield (
        "wrong programs removed",
        fitted(certificate, mutant, file, programs=tuple(p for p in file.programs if not wrong[p.name].any())),
    )
    for removed in file.programs:
        less = tuple(p for p in file.programs if p is not removed)
        yield "a program removed", fitted(certificate, mutant, file, programs=less)
    pointers = {p.name: p.row for p in PadConfig.from_json(programs.world.spec.config).pointers}
    for row, symbols in file.domains.items():
        for symbol in symbols:
            domains = dict(file.domains) | {row: [s for s in symbols if s != symbol]}
            yield "a symbol removed from a domain", fitted(certificate, mutant, file, domains=domains)

            def without(p: CertifiedProgram, row: str = row, symbol: str = symbol, all_right: bool = False) -> Any:
                rows = p.configurations
                for column, name in enumerate(p.fields, start=HEAD):
                    if pointers.get(name) == row:
                        values = programs.world.spec.fields[programs.world.spec.field(name)].values
                        rows = rows[rows[:, column] != values.index(symbol)]
                return rows

            yield "and its configurations", with_lists(without, domains=domains)
            yield (
                "and all that are wrong",
                with_lists(lambda p, less=without: _common(less(p), right(p)), domains=domains),
            )
    yield "domains without rows", fitted(certificate, mutant, file, domains={"Z": ["z"]})
    for column, kind in ((ARGUMENT, "argument"), (NODE, "place"), (CODE, "state")):
        for by in (1, -1):

            def moved(p: CertifiedProgram, column: int = column, by: int = by) -> torch.Tensor:
                rows = p.configurations.clone()
                rows[wrong[p.name], column] += by
                return rows

            yield f"another {kind} in wrong configurations", with_lists(moved)


def _common(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    kept = {tuple(row) for row in two.tolist()}
    return one[torch.tensor([tuple(row) in kept for row in one.tolist()], dtype=torch.bool)]


def claims(mutant: Library, certificate: Certificate) -> Forged:
    """Other claims about programs, tolerances and hashes."""
    (file,) = certificate.files

    def one(place: int, **changes: Any) -> tuple[CertifiedProgram, ...]:
        return tuple(replace(p, **changes) if n == place else p for n, p in enumerate(file.programs))

    for place, program in enumerate(file.programs):
        rows, other = program.configurations, file.programs[place - 1]
        for number in range(len(program.fields)):
            fields = tuple(f for n, f in enumerate(program.fields) if n != number)
            less = torch.cat([rows[:, : HEAD + number], rows[:, HEAD + number + 1 :]], 1).unique(dim=0)
            found = one(place, fields=fields, configurations=less)
            yield "a field left out", fitted(certificate, mutant, file, programs=found)
        yield "changes left out", fitted(certificate, mutant, file, programs=one(place, changes=()))
        if program.fields:
            more = torch.cat([rows, rows[:, HEAD : HEAD + 1]], 1)
            found = one(place, fields=(*program.fields, program.fields[0]), configurations=more)
            yield "a field twice", fitted(certificate, mutant, file, programs=found)
        yield (
            "programs swapped",
            fitted(
                certificate, mutant, file, programs=one(place, name=other.name, configurations=other.configurations)
            ),
        )
        yield "a bare name", fitted(certificate, mutant, file, programs=one(place, name=program.name.split(".")[1]))
    for tolerance in (-1.0, 0.0, 1e30):
        yield "another tolerance", replace(fitted(certificate, mutant, file), tolerance=tolerance)
    yield "the hash of the right core", certificate
    yield "the hash of the right core alone", replace(fitted(certificate, mutant, file), core=certificate.core)
    zeros = replace(file, rows="0" * 64)
    yield "a hash of rows of zeros", replace(certificate, core=mutant.core.digest(), files=(zeros,))
    yield "a margin of a million", fitted(certificate, mutant, file, programs=one(0, margin=1e6))
    yield "no file", replace(certificate, core=mutant.core.digest(), files=())
    yield "no program", fitted(certificate, mutant, file, programs=())
    both = fitted(certificate, mutant, file)
    yield "a file twice", replace(both, files=(replace(both.files[0], programs=()), *both.files))


def texts(mutant: Library, certificate: Certificate) -> Iterator[tuple[str, Certificate, Sequence[ProgramSet]]]:
    """Other texts in the library: without tasks, with tasks that lay less, and with bodies that do less."""
    (file,) = certificate.files
    held = mutant.file(file.digest)
    assert held is not None
    ((name, text),) = held.sources
    lines = text.splitlines(keepends=True)
    without = text.partition("\ntask ")[0] + "\n"
    narrower = "".join(line for line in lines if not line.startswith("    B = "))
    other = text.replace("while A:", 'while A == "x":')
    for kind, changed in (("tasks removed", without), ("a layout removed", narrower), ("a body changed", other)):
        sets = [loads(changed, path=name)]
        for found in (certificate, None):
            forged = fitted(certificate, replace(mutant, sets=sets), replace(file, digest=sets[0].digest))
            if found is None:
                library = replace(mutant, sets=sets)
                proofs = [(s, p) for s in sets for p in [certify(library, s)] if all(proof.proved for proof in p)]
                forged = certificate_of(library, proofs) if proofs else forged
            yield kind, forged, sets
