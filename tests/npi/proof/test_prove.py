"""Proofs against cores that are right and cores that are not, inputs that show them wrong, and worlds that lie."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import load
from envs.scratchpad.transitions import ANYTHING, Alternative, Effect, effect_of
from envs.stepper import Observation
from npi.core.config import LEARNED
from npi.library.library import Library
from npi.proof import call_effects
from npi.proof.call_effects import changed_by, domains, with_callees
from npi.proof.certificate import TOLERANCE
from npi.proof.check_certificate import check
from npi.proof.counterexample import disagreements, smallest
from npi.proof.prove import Certifier, certificate_of, certify, prove, prove_decisions
from npi.proof.world_audit import UnsoundError, audit, audit_traces
from npi.recurrent import learn
from npi.training.dataset import Dataset
from npi.training.learn_rows import LearnConfig
from npi.training.validation import TaskValidator
from tests.support import tiny
from tests.support.clear import CLEAR, clear, proved
from tests.support.paths import ROOT
from tests.support.tape_programs import npi
from traces.generation.generate import record_traces
from traces.storage.trace_set import TraceSet


def _stopping() -> Library:
    """A core that returns always."""
    library = copy.deepcopy(proved())
    with torch.no_grad():
        library.core.end.bias += 1000.0
    return library


def test_a_right_core_is_proved_and_a_wrong_one_is_not() -> None:
    """Red when the walk stops early, or compares the core with itself."""
    (proof,) = certify(proved(), clear())
    assert proof.proved
    assert proof.configurations == len(proof.walked) >= 3
    assert proof.margin > TOLERANCE
    assert proof.fields == proof.changes == ("A",)
    assert proof.examples is None
    (proof,) = certify(_stopping(), clear())
    assert not proof.proved
    obs = proof.examples.obs_SF[:, 0].tolist()
    calls = proof.examples.call_S4[:, 0].tolist()
    assert all((symbol == 2) == (callee == -1) for symbol, callee in zip(obs, calls, strict=True) if callee == -1)


def test_a_brief_walk_ends_where_it_finds_anything_wrong() -> None:
    """And comes to the same where nothing is: red when it stops before all is walked."""
    every, brief = (prove_decisions(proved(), clear(), None, brief=brief)[0] for brief in (False, True))
    assert (brief.proved, brief.configurations) == (True, every.configurations)
    every, brief = (prove_decisions(_endless(), clear(), None, brief=brief)[0] for brief in (False, True))
    assert every.wrong >= brief.wrong > 0
    assert every.configurations > brief.configurations


def _endless() -> Library:
    """A core that never returns: it is wrong at blank cells alone, and goes on from the others."""
    library = copy.deepcopy(proved())
    with torch.no_grad():
        library.core.end.bias -= 1000.0
    return library


def test_a_call_that_hardly_leads_is_not_proved() -> None:
    """The same call by less than another device may be off: red when the margin is only reported."""
    library = copy.deepcopy(proved())
    symbols = torch.tensor([[0], [1]])
    with torch.no_grad():
        library.core.end.weight *= 0.0
        library.core.end.bias.fill_(-TOLERANCE / 2)  # goes on everywhere, by too little
    stepper = library.stepper(clear().table, memo=False)
    decided = stepper.step(
        Observation(symbols), torch.tensor([1, 1]), torch.zeros(2, 3).long(), torch.zeros(2, 1).long()
    )
    assert decided.call_B4[:, 0].tolist() == [0, 0]  # as the text says
    (proof,) = certify(library, clear())
    assert (proof.configurations, proof.wrong) == (3, 3)


def test_what_rows_can_hold_and_programs_change() -> None:
    addition = load(ROOT / "programs" / "recursive" / "addition.npi")
    held = domains(addition)
    assert held["CARRY"] == ("1", "blank")
    assert len(held["IN1"]) == len(held["OUT"]) == 11
    fields, found = addition.world.spec.fields, changed_by(addition)
    changes = {p.name: {fields[i].name for i in found[p.id]} for p in addition.programs}
    assert changes["addition.CARRY"] == {"CARRY"}
    assert changes["addition.ADD1"] == {"CARRY", "OUT"}
    assert changes["addition.ADD"] == {"IN1", "IN2", "CARRY", "OUT"}
    assert with_callees(addition, ["addition.ADD1"]) == ["addition.ADD1", "addition.CARRY"]


def test_a_row_that_does_not_use_its_state_sees_the_same_in_every_code() -> None:
    """The walk knows no codes of it: red where gates of other codes than that of the beginning count as it runs."""
    library, table = tiny.trained(LEARNED), tiny.strip().table
    row = library.memory.index("strip.SCAN")
    assert tiny.names_seen(library, row) == {"last(P)"}
    with torch.no_grad():
        library.memory.gates_NF[row, 1:] = 0.0
    (proof,) = certify(library, tiny.strip(), names=["strip.SCAN"])
    assert proof.proved
    frames = tiny.dataset(tiny.strip()).frames
    frames = frames.select(frames.program_M == table.id("SCAN"))
    assert int(frames.length_M.max()) > 3
    assert not disagreements(library.stepper(table, memo=False), frames)


# Inputs that show a core wrong


def test_the_smallest_input_that_shows_a_core_wrong(tmp_path: Path) -> None:
    found = smallest(_stopping(), clear(), ["clear.CLEAR"])["clear.CLEAR"]
    assert found.problem.size == 1
    assert (found.wanted, found.made) == ("ACT(A, WRITE, blank)", "return")
    assert found.ended == "with a wrong result"
    kept = found.save(tmp_path, clear())
    assert (len(kept), kept.folder.name) == (1, "clear.CLEAR")
    assert Dataset.from_trace_set(TraceSet.open(kept.folder)).frames.steps == 3
    assert found.save(tmp_path, clear()).folder.name == "clear.CLEAR-2"
    assert smallest(proved(), clear(), ["clear.CLEAR"]) == {}


# Rows that are learned


@pytest.mark.parametrize("states", tiny.STATES)
def test_learned_rows_are_proved_and_the_old_certificate_holds(states: str) -> None:
    """Red when a certificate covers more than its programs can meet, or learning leaves new rows unproved."""
    library = tiny.untrained(tiny.CORE)
    config = tiny.STATES[states]()
    certifier = Certifier(TaskValidator(library, library.sets, config), library, library.sets, states=states)
    assert tiny.solved(tiny.objective_on(library, [tiny.dataset(tiny.strip())], config, validate=certifier))
    old = certificate_of(library, prove(library))
    assert all(not finding.fault for finding in check(old, library))
    config = LearnConfig(starts=4, updates=600, problems=16, states=states)
    assert learn(library, [tiny.dataset(tiny.turn())], config).solved
    assert all(not finding.fault for finding in check(old, library))
    proofs = prove(library)
    assert [p.path for p, _ in proofs] == [p.path for p in library.sets]
    assert {"turn.TURN", "turn.RUN"} <= {p.program for _, mine in proofs for p in mine if p.proved}
    new = certificate_of(library, proofs)
    assert all(not finding.fault for finding in check(new, library))
    with torch.no_grad():
        library.memory.embeddings_NP[-1, 0] += 1e-4
    assert not any(finding.fault for finding in check(old, library))
    assert {f.file for f in check(new, library) if f.fault} == {"turn.npi"}


# Worlds that do not do what they declare


@pytest.mark.parametrize(
    ("step", "symbol", "match"),
    [(0, 3, "shows 3 in A, which is declared to have the values 0 to 2"), (1, 0, r"WRITE, blank\) does what")],
)
def test_a_world_that_lies_is_found(step: int, symbol: int, match: str) -> None:
    """A cell that shows what no cell can hold, and one that shows another symbol than was written."""
    batch = record_traces(clear(), task="clear", traces={3: 1}, seed=0)
    assert audit_traces(clear(), [batch]) == 7
    obs = batch.obs.copy()
    obs[step] = symbol
    with pytest.raises(UnsoundError, match=match):
        audit_traces(clear(), [replace(batch, obs=obs)])


def test_an_effect_that_lies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the audit does not compare what came of a call with its effect."""
    assert audit(clear()) > 0

    def nothing(spec: Any, call: Any) -> Effect:
        return (Alternative(),) if spec.tokens[call[2]] == "RIGHT" else effect_of(spec, call)

    monkeypatch.setattr(call_effects, "effect_of", nothing)
    with pytest.raises(UnsoundError, match=r"ACT\(A, RIGHT\) does what its effect does not allow"):
        audit(clear())


def test_a_row_that_is_said_to_hold_less_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declaration by which a row never holds what a task lays into it."""
    monkeypatch.setattr("npi.proof.world_audit.domains", lambda programs: {"A": ("x", "blank")})
    with pytest.raises(UnsoundError, match=r"about A: it shows A=y"):
        audit(clear())


def test_an_effect_that_says_nothing_is_wide() -> None:
    spec = replace(clear().world.spec, kind="another")
    assert effect_of(spec, [0, 1, 1, 0]) == (Alternative(changes={0: (ANYTHING,)}),)


# The command


def test_the_command_writes_a_certificate_and_checks_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, certificate = tmp_path / "library", tmp_path / "clear.certificate"
    proved().save(folder)
    (tmp_path / "clear.npi").write_text(CLEAR)
    code, out, err = npi(capsys, "certify", "--library", folder, "--out", certificate)
    assert code == 0, err
    assert "1 of 1 program" in out
    code, out, err = npi(capsys, "certify", "--check", certificate, "--library", folder, tmp_path / "clear.npi")
    assert (code, "holds for 1 of 1 program" in out) == (0, True), err
    code, out, _ = npi(capsys, "certify", "--check", certificate, "--library", folder, "--json")
    assert (code, json.loads(out)["programs"][0]["fault"]) == (0, "")
    (tmp_path / "clear.npi").write_text(CLEAR.replace("Blank every", "Clear every"))
    code, out, _ = npi(capsys, "certify", "--check", certificate, "--library", folder, tmp_path / "clear.npi")
    assert (code, "is not a program file as it was certified" in out) == (1, True)
    _stopping().save(folder)
    code, out, _ = npi(capsys, "certify", "--check", certificate, "--library", folder)
    assert (code, "void: the core is not" in out) == (1, True)


def test_the_command_tells_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, certificate = tmp_path / "library", tmp_path / "clear.certificate"
    _stopping().save(folder)
    words = ["certify", "--library", folder, "--out", certificate]
    code, out, err = npi(capsys, *words, "--counterexamples", tmp_path / "wrong")
    assert code == 1
    assert "goes wrong on clear of word = [" in out
    assert "the text says ACT(A, WRITE, blank), the core return" in out
    assert "is not written" in err
    assert not certificate.exists()
    assert len(TraceSet.open(tmp_path / "wrong" / "clear.CLEAR")) == 1
    code, out, _ = npi(capsys, "certify", "--library", folder, "--json")
    assert json.loads(out)[0]["counterexample"]["made"] == "return"


def test_the_command_tells_what_no_input_shows(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("npi.proof.counterexample.smallest", lambda *_: {})
    _stopping().save(tmp_path / "library")
    code, out, _ = npi(capsys, "certify", "--library", tmp_path / "library")
    assert (code, "no input was found that shows clear.CLEAR wrong" in out) == (1, True)
    code, out, _ = npi(capsys, "certify", "--library", tmp_path / "library", "--json")
    assert json.loads(out)[0]["counterexample"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check", "{tmp}/none"], "there is no file"),
        (["--check", "{tmp}/damaged"], "damaged or not a tensor file"),
        (["--check", "{tmp}/damaged", "--out", "x"], "--out does not apply with --check"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], message: str) -> None:
    proved().save(tmp_path / "library")
    (tmp_path / "damaged").write_bytes(b"nothing of the kind")
    given = [word.format(tmp=tmp_path) for word in words]
    code, _, err = npi(capsys, "certify", "--library", tmp_path / "library", *given)
    assert (code, message in err) == (2, True), err
