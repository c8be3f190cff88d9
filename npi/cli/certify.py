"""``npi certify``: prove that a core runs its programs as their text says, for inputs of every size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npi.cli.console import Column, Meter, Screen, finish, number, open_library, picked, shipped_or
from npi.cli.options import CoreOption, JsonOption, LibraryOption, option, output, refuse_others
from npi.cli.words import plural

if TYPE_CHECKING:
    from dsl.program import ProgramSet
    from npi.library.kinds import ProgramProof
    from npi.library.library import Library
    from npi.proof.check_certificate import Finding
    from npi.proof.counterexample import Counterexample

    Proofs = list[tuple[ProgramSet, list[ProgramProof]]]


def certify(
    context: typer.Context,
    programs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Such as ADD, or addition.ADD; all of the library by default. With --check: program files that must "
            "be those of the certificate, and covered whole.",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = Path("library"),
    core: CoreOption = None,
    out: Annotated[Path | None, output("--out", "Write a certificate, where all is proved.", "FILE")] = None,
    check: Annotated[
        Path | None, option("--check", "Check a certificate against the library, and prove nothing.", "FILE")
    ] = None,
    counterexamples: Annotated[
        Path | None, option("--counterexamples", "Keep the inputs that show a program wrong, as traces.", "DIR")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Prove programs of a library for every input of every size.

    Walks every configuration that a program can be in (place in its text, state of the core, observation) and compares
    what the core decides with what the text says. Where they agree everywhere the core never takes another step than
    the text. Exit status 1 where a program is not proved. Of an lstm only programs without loops, which see little, can
    be. Rows of a universal core are compared with the text for any observations at all, whatever the world does; that
    takes moments, so no certificate is written of it.

    Of a collection, name programs of one member, or its core (--core).

    A certificate names core, rows and program files by hashes and lists all configurations; --check goes through them
    with a program of its own, and says which programs and tasks of the files are not covered. Exit status 1 where a
    named file is not covered whole.

    \b
    Example:
      npi certify
      npi certify ADD --library library --out add.certificate
      npi certify --check add.certificate --library library
    """
    from npi.proof.prove import certificate_of, check_certifiable, provable, prove

    refuse_others(context, *["check"] * (check is not None))
    screen, library = Screen(json=json), shipped_or(library)
    if check is not None:
        _check(screen, library, check, programs or [])
        return
    opened = open_library(library, program=programs or (), core=core)
    names = provable(opened, programs or ())
    if out is not None:
        check_certifiable(opened)
    with Meter("certifying"):
        proofs = prove(opened, names)
    every = [proof for _, found in proofs for proof in found]
    shown = {proof.program: proof for proof in reversed(every) if proof.program in names}
    asked = [shown[name] for name in names]
    screen.table(
        asked,
        Column("program"),
        number("configurations", lambda proof: "" if proof.trouble else proof.configurations),
        number("wrong", lambda proof: "" if proof.trouble else proof.wrong),
        number("margin", lambda proof: "" if proof.trouble else _margin(proof)),
        Column("reads", lambda proof: "not walked" if proof.trouble else ", ".join(proof.fields) or "nothing"),
        failed=lambda proof: not proof.proved,
    )
    good = sum(proof.proved for proof in asked)
    screen.line(f"proved for every input of every size: {good} of {plural(len(asked), 'program')}")
    for proof in every:
        if not proof.proved and proof.program not in names:
            screen.line(f"{proof.program}, which they call, is wrong in {plural(proof.wrong, 'configuration')}")
    found = _counterexamples(opened, proofs, counterexamples)
    for one in found.values():
        screen.line(f"{one.program} goes wrong on {one.task.name} of {one.inputs}, which ends {one.ended}")
        screen.line(f"  it sees {one.seen}: the text says {one.wanted}, the core {one.made}")
    for proof in every:
        if proof.trouble or not (proof.proved or proof.program in found):
            screen.line(_unshown(proof))
    screen.document([_document(proof, found.get(proof.program)) for proof in asked])
    proved = all(proof.proved for proof in every)
    if proved and out is not None:
        certificate = certificate_of(opened, proofs)
        certificate.save(out)
        screen.note(f"wrote {out}: {plural(certificate.configurations, 'configuration')}")
    elif out is not None:
        screen.note(f"{out} is not written: not all of it is proved")
    finish(proved)


def _unshown(proof: ProgramProof) -> str:
    """Of a program that is not proved, and that no input was found to show wrong."""
    from npi.proof.certificate import TOLERANCE

    wrong = plural(proof.wrong, "configuration")
    if proof.trouble:
        return proof.trouble
    if proof.where:
        return f"{proof.program} is wrong where it sees {proof.where}; no input was found that leads there"
    if proof.close:
        return (
            f"{proof.program} decides as its text does, in {wrong} by less than {TOLERANCE} logits, so another device "
            "may decide otherwise; remove it and learn it again"
        )
    return (
        f"no input was found that shows {proof.program} wrong; maybe none leads to the {wrong} in which it is: the "
        "walk covers more than what occurs"
    )


def _check(screen: Screen, folder: Path, path: Path, files: list[str]) -> None:
    """Check a certificate; ends the command."""
    import npi
    from dsl import load
    from npi.library.members import in_collection
    from npi.proof.certificate import Certificate
    from npi.proof.check_certificate import check
    from npi.proof.coverage import uncovered

    if not path.is_file():
        raise ValueError(f"there is no file {path}: write a certificate with npi certify --out {path}")
    certificate = Certificate.open(path)
    library = open_library(folder, core=in_collection(folder, certificate.core))
    digests = {file.digest for file in certificate.files}
    named = {name: load(name) for name in files}
    changed = [name for name, programs in named.items() if programs.digest not in digests]
    with Meter("checking"):
        findings = check(certificate, library)
    held = {file.file: programs for file in certificate.files if (programs := library.file(file.digest)) is not None}
    shown = {name: programs for name, programs in (named or held).items() if name not in changed}
    lacking = {name: uncovered(certificate, findings, programs) for name, programs in shown.items()}
    columns = Column("program"), number("configurations"), number("margin", _margin)
    screen.table(findings, *columns, Column("", lambda one: one.fault or "holds"), failed=lambda one: one.fault)
    for name in changed:
        screen.line(f"{name} is not a program file as it was certified, or not one of this certificate")
    for name, parts in lacking.items():
        for part in parts:
            screen.line(f"not covered of {name}: {part}")
    if certificate.engine != npi.__version__:
        screen.note(f"the certificate is from version {certificate.engine}, it was checked by {npi.__version__}")
    good = sum(not one.fault for one in findings)
    screen.line(f"the certificate holds for {good} of {plural(len(findings), 'program')}")
    screen.document({"programs": findings, "changed": changed, "uncovered": lacking})
    whole = not named or not any(lacking.values())
    finish(bool(findings) and good == len(findings) and not changed and whole)


def _margin(found: ProgramProof | Finding) -> str:
    return f"{found.margin:.2f}" if math.isfinite(found.margin) else ""


def _counterexamples(library: Library, proofs: Proofs, folder: Path | None) -> dict[str, Counterexample]:
    """The smallest inputs found on which the programs that are not proved go wrong; kept in the folder, if any."""
    from npi.proof.counterexample import smallest

    found: dict[str, Counterexample] = {}
    for programs, mine in proofs:
        wrong = [proof.program for proof in mine if not proof.proved and proof.program not in found]
        if wrong and programs.tasks:
            fresh = smallest(library, programs, wrong)
            for one in fresh.values() if folder is not None else ():
                assert folder is not None
                one.save(folder, programs)
            found |= fresh
    return found


def _document(proof: ProgramProof, counterexample: Counterexample | None) -> dict[str, Any]:
    found = picked(proof, "program proved configurations wrong margin fields trouble" + " where" * bool(proof.where))
    if proof.proved:
        return found
    one = counterexample
    return found | {"counterexample": one and {"task": one.task.name, **picked(one, "inputs seen wanted made ended")}}
