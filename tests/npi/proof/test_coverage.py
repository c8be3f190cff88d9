"""What a certificate covers: domains as wide as the tasks of the text lay, callees that hold, all of a named file."""

from dataclasses import replace

import pytest
import torch

from dsl import loads
from npi.library.library import Library
from npi.proof.certificate import Certificate, CertifiedFile
from npi.proof.check_certificate import Finding, check
from npi.proof.coverage import uncovered
from npi.proof.prove import certificate_of, prove
from tests.support.clear import CLEAR, proved


def certificate() -> tuple[Certificate, CertifiedFile]:
    found = certificate_of(proved(), prove(proved()))
    return found, found.files[0]


@pytest.mark.parametrize("symbol", ["x", "y"])
def test_a_domain_that_tasks_lay_beyond_is_refused(symbol: str) -> None:
    """Also with all configurations of the symbol left out and every hash in order: red when domains are believed."""
    whole, file = certificate()
    (program,) = file.programs
    kept = [s for s in file.domains["A"] if s != symbol]
    value = ["x", "y", "blank"].index(symbol)
    rows = program.configurations[program.configurations[:, 5] != value]
    narrow = replace(file, domains={"A": kept}, programs=(replace(program, configurations=rows),))
    (finding,) = check(replace(whole, files=(narrow,)), proved())
    assert f"layouts can hold {symbol} there" in finding.fault


def test_without_tasks_rows_hold_all_that_they_declare() -> None:
    """A row into which nothing is laid begins blank only where there are tasks to say so."""
    text = CLEAR.partition("\ntask ")[0] + "\n"
    bare = loads(text.replace("row A of", "row A, B of"), path="clear.npi")
    library = Library.create(proved().core.config, [bare.table], sets=[bare])
    for domains, fault in (({"A": ["x", "y", "blank"], "B": ["blank"]}, "layouts can hold"), ({}, "")):
        whole = certificate_of(library, [])
        entry = CertifiedFile("clear.npi", bare.digest, "", domains, ())
        one = certificate()[1].programs[0]
        (finding,) = check(replace(whole, files=(replace(entry, programs=(one,)),)), library, hashes=False)
        assert fault in finding.fault
        assert ("layouts" in finding.fault) == bool(fault)


CALLER = """
program TWICE "Clear, and clear again":
    CLEAR
    CLEAR

task twice(word: list of "x" or "y"):
    A = word
    run TWICE
    expect len(A) == 0
    train word of 1..6
"""


def test_what_is_left_out_is_named() -> None:
    programs = loads(CLEAR.replace("\ntask ", CALLER.partition("\ntask ")[0] + "\ntask ", 1)
                     + "\ntask " + CALLER.partition("\ntask ")[2], path="clear.npi")  # fmt: skip
    whole, file = certificate()
    same = replace(whole, files=(replace(file, digest=programs.digest),))
    holds = [Finding("clear.npi", "clear.CLEAR", 3, 1.0)]
    assert uncovered(same, holds, programs) == ["program clear.TWICE", "task twice, which runs clear.TWICE"]
    fails = [replace(holds[0], fault="it does not")]
    assert uncovered(same, fails, programs)[0] == "program clear.CLEAR"
    assert len(uncovered(whole, holds, programs)) == 4  # another text of that name


def test_no_program_holds_beside_a_wrong_callee(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the fault of a program is told of it alone, though others were proved by what it owns up to."""
    text = CLEAR.replace("\ntask ", CALLER.partition("\ntask ")[0] + "\ntask ", 1)
    programs = loads(text, path="clear.npi")
    library = Library.create(proved().core.config, [programs.table], sets=[programs])
    monkeypatch.setattr("npi.proof.check_certificate._FileCheck.program", _called)
    whole, file = certificate()
    one = replace(file, digest=programs.digest, programs=(
        replace(file.programs[0], name="clear.TWICE"), file.programs[0]))  # fmt: skip
    found = check(replace(whole, files=(one,)), library, hashes=False)
    assert [finding.fault for finding in found] == [
        "it calls clear.CLEAR, whose certificate does not hold", "a field that matters is left out"
    ]  # fmt: skip


def _called(checker: object, certified: object) -> float:
    """TWICE is right, and calls CLEAR, which is not."""
    from npi.proof.check_certificate import _Fault

    if certified.name == "clear.CLEAR":  # type: ignore[attr-defined]
        raise _Fault("a field that matters is left out")
    checker.callees.add("clear.CLEAR")  # type: ignore[attr-defined]
    return float(torch.ones(1))
