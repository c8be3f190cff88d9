"""``npi certify``: prove that a core runs its programs as their text says, for inputs of every size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.common import (
    DONE,
    NOT_REACHED,
    JsonOption,
    LibraryOption,
    Meter,
    Screen,
    finish,
    grid,
    open_library,
    plural,
)

if TYPE_CHECKING:
    from npi.certify import ProgramProof
    from npi.library import Library


def certify(
    programs: Annotated[
        list[str] | None,
        typer.Argument(help="Such as ADD, or addition.ADD; all of the library by default.", show_default=False),
    ] = None,
    library: LibraryOption = Path("library"),
    json: JsonOption = False,
) -> None:
    """Prove programs of a library for every input of every size.

    Walks every situation that a program can be in (place in its text, state of the core, observation) and compares what
    the core decides with what the text says. Where they agree everywhere the core never takes another step than the
    text. Ends with 1 where a program is not proved. Only for discrete cores.

    \b
    Example:
      npi certify
      npi certify ADD CARRY --library library
    """
    screen = Screen(json=json)
    opened = open_library(library)
    proofs = _prove(opened, _chosen(opened, programs or []))
    proved = sum(proof.proved for proof in proofs)
    table = grid("program", "situations", "wrong", "margin", "looks at", right=("situations", "wrong", "margin"))
    for proof in proofs:
        table.add_row(
            proof.program,
            f"{proof.situations:,}",
            f"{proof.wrong:,}",
            f"{proof.margin:.2f}",
            ", ".join(proof.fields) or "nothing",
            style=None if proof.proved else "bold red",
        )
    screen.say(table)
    screen.line(f"proved for every input of every size: {proved} of {plural(len(proofs), 'program')}")
    screen.document([_document(proof) for proof in proofs])
    finish(DONE if proved == len(proofs) else NOT_REACHED)


def _chosen(library: Library, words: list[str]) -> list[str]:
    """Qualified names of the programs asked for, in the library's order; raises ``ValueError`` for an unknown one."""
    from dsl.errors import suggest

    names = [info.name for info in library.memory.infos if not info.primitive]
    if not words:
        return names
    found: set[str] = set()
    for word in words:
        same = [name for name in names if name == word or name.rpartition(".")[2] == word]
        if not same:
            known = [*names, *(name.rpartition(".")[2] for name in names)]
            raise ValueError(f"the library has no program {word}: {suggest(word, known)}")
        found.update(same)
    return [name for name in names if name in found]


def _prove(library: Library, names: list[str]) -> list[ProgramProof]:
    """A proof of each program, from the first program file that has it."""
    from npi.certify import certify as prove

    proofs: dict[str, ProgramProof] = {}
    with Meter("certifying") as meter:
        for programs in library.sets:
            for program in programs.programs:
                if program.name in names and program.name not in proofs:
                    meter.update(len(proofs), len(names), program.name)
                    (proofs[program.name],) = prove(library, programs, names=[program.name])
    missing = [name for name in names if name not in proofs]
    if missing:
        raise ValueError(
            f"there is no program text of {missing[0]}: it was trained on traces alone, so nothing to prove"
        )
    return [proofs[name] for name in names]


def _document(proof: ProgramProof) -> dict[str, Any]:
    return {
        "program": proof.program,
        "proved": proof.proved,
        "situations": proof.situations,
        "wrong": proof.wrong,
        "margin": proof.margin if math.isfinite(proof.margin) else None,
        "fields": list(proof.fields),
    }
