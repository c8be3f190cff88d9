"""Proofs of programs without loops on an ``lstm``: every history, and frames of the wrong ones to learn from."""

from functools import cache

import pytest
import torch

from dsl.analysis.learnability import longest_frame
from dsl.program import ProgramSet
from envs.scratchpad.transitions import allowed, effect_of, obeys, rules_of
from npi.cli.main import main
from npi.jobs.train import new_library
from npi.library.library import Library, LibraryError
from npi.proof.prove import Certifier, certificate_of, certify, prove
from npi.training.frame_objective import FrameObjective
from npi.training.validation import TaskValidator
from tests.support.tiny import LSTM, dataset, solved, strip, training

BOUNDED = {"strip.MOVE", "strip.STAY", "strip.ROUND", "strip.BOTH"}


@cache
def proved() -> tuple[Library, int]:
    """An lstm that was trained until its programs without loops were proved, and in how many rounds."""
    found = dataset(strip())
    library = new_library(LSTM, [found], seed=0)
    config = training(rate=1e-2, cut=0, noise=0.0, updates=2000, decay=1500)
    validate = Certifier(TaskValidator(library, library.sets, config), library, library.sets, names=BOUNDED)
    objective = FrameObjective(library, [found.frames], config, validate=validate)
    assert solved(objective), "the programs without loops were not proved"
    return library, validate.rounds


def test_a_program_is_bounded_unless_it_loops() -> None:
    assert {p.name for p in strip().programs if longest_frame(p.table) is not None} == BOUNDED


def test_programs_without_loops_are_proved_after_their_counterexamples_were_learned() -> None:
    library, rounds = proved()
    assert rounds > 0, "nothing was wrong at first: this shows too little"
    found = {proof.program: proof for proof in certify(library, strip())}
    assert {name for name, proof in found.items() if proof.proved} == BOUNDED
    assert all(found[name].margin > 0.01 for name in BOUNDED)
    assert found["strip.ZERO"].trouble == "strip.ZERO has a loop: its frames have no bound, nor have its histories"
    with pytest.raises(LibraryError, match="lists the states"):
        certificate_of(library, prove(library, ["strip.MOVE"]))


def test_as_many_histories_as_plain_enumeration_finds() -> None:
    """MOVE(d): what it sees at first, by what ACT allows, what it sees then."""
    library, _ = proved()
    (proof,) = certify(library, strip(), names=["strip.MOVE"])
    assert proof.configurations == len(histories(strip()))


def histories(programs: ProgramSet) -> list[tuple[int, ...]]:
    spec = programs.world.spec
    sizes = [f.size for f in spec.fields]
    every = torch.cartesian_prod(*[torch.arange(n) for n in sizes])
    good = [tuple(o) for o in every.tolist() if all(bool(obeys(r, sizes, torch.tensor([o]))) for r in rules_of(spec))]
    pointer = spec.tokens.index("P")
    found: list[tuple[int, ...]] = []
    for way in (spec.tokens.index("LEFT"), spec.tokens.index("RIGHT")):
        for seen in good:
            found.append((way, *seen))
            effect = effect_of(spec, (0, pointer, way, 0))
            for then in good:
                if bool(allowed(spec, effect, torch.tensor([seen]), torch.tensor([then])).all()):
                    found.append((way, *seen, *then))
    return found


def test_a_changed_row_is_found_wrong_and_too_many_histories_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    library, _ = proved()
    row = library.memory.index("strip.MOVE")
    kept = library.memory.embeddings_NP[row].clone()
    with torch.no_grad():
        library.memory.embeddings_NP[row] = -kept
        (proof,) = certify(library, strip(), names=["strip.MOVE"])
        library.memory.embeddings_NP[row] = kept
    assert proof.wrong > 0
    assert set(proof.examples.program_M.tolist()) == {strip().table.id("MOVE")}
    monkeypatch.setattr("npi.proof.configuration_walk.MAX_CONFIGURATIONS", 50)
    (proof,) = certify(library, strip(), names=["strip.MOVE"])
    assert "more than 50 histories over the 3 fields" in proof.trouble


def test_the_command_tells_what_was_not_walked(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    library, _ = proved()
    library.save(tmp_path / "library")
    assert main(["certify", "MOVE", "--library", str(tmp_path / "library")]) == 0
    capsys.readouterr()
    assert main(["certify", "--library", str(tmp_path / "library")]) == 1
    said = capsys.readouterr().out
    assert "strip.SCAN has a loop: its frames have no bound" in said
    assert said.count("not walked") == 3
    assert "proved for every input of every size: 4 of 7 programs" in said
    assert main(["certify", "--library", str(tmp_path / "library"), "--out", str(tmp_path / "a.cert")]) == 2
    assert "lstm" in capsys.readouterr().err
    assert not (tmp_path / "a.cert").exists()
