"""What commands tell of a universal library, its proofs and its tables."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from npi.cli.main import main
from npi.library import operations
from npi.library.index import difference, listing
from npi.library.library import Library, LibraryError
from npi.library.wiring import in_words
from npi.proof.prove import certificate_of, prove
from npi.running.compiled_library import CompiledLibrary
from npi.universal.core import new_universal
from tests.support.universal_helpers import SMALL, spoiled, taught, text

# --- what there is ----------------------------------------------------------------------------------------------------


def test_a_listing_tells_states_and_learned_numbers(tmp_path: Path) -> None:
    library = taught("strip", "fruit")
    library.save(tmp_path / "one")
    found = listing(tmp_path / "one")
    assert found.kind == "universal"
    learned = {card.name: card.learned_numbers for card in found.cards}
    assert {"strip.STAY": 0, "strip.SCAN": 45, "strip.ZERO": 45, "fruit.SWAP": 0}.items() <= learned.items()
    assert {card.world for card in found.cards} == {"strip", "fruit"}
    assert in_words(found.one("SWAP").wiring or (), ["d"]) == [
        "state 0", "    ACT(P, [d]), then state 1", "state 1", "    fruit.HOME, then state 2", "state 2", "    return"
    ]  # fmt: skip
    assert in_words(found.one("SCAN").wiring or (), []) == [
        "state 0 decides by last(P)", "    strip.MOVE(RIGHT), then state 0", "    return"
    ]  # fmt: skip
    taught("fruit", "strip").save(tmp_path / "two")
    assert difference(found, listing(tmp_path / "two")).same  # whatever numbers their worlds have


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    capsys.readouterr()
    ended = main(list(map(str, words)))
    out, err = capsys.readouterr()
    assert ended == code, err
    return out if code < 2 else err


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    taught("strip", "turn").save(folder / "mine")
    taught("fruit", "strip").save(folder / "yours")
    new_universal(SMALL, seed=0).save(folder / "empty")
    return folder


def test_commands_tell_of_it(capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    shown = run(capsys, "show", shop / "mine")
    assert "9 programs, 2 tasks, universal core" in shown
    assert "45 learned for each state that decides; its programs run in 1 world" in shown
    assert "a program may have 7 such states; each sees 6 inputs and chooses among 8 calls" in shown
    assert "no programs yet: npi learn FILE.npi" in run(capsys, "show", shop / "empty")
    assert "0 programs" in run(capsys, "library", "list", shop / "empty")
    assert "45 learned numbers for each state that decides" in run(capsys, "library", "list", shop / "mine")
    told = run(capsys, "library", "info", shop / "mine", "RUN")
    assert "45 learned, of 323 that a row has room for; 1 state, 1 deciding" in told
    assert "state 0 decides by last(P)" in told
    document = json.loads(run(capsys, "library", "info", shop / "mine", "RUN", "--json"))
    assert (document["learned_numbers"], document["wiring"][0]["looks"]) == (45, [["field", "last(P)"]])


def test_packages_by_command(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "turn.npirow", tmp_path / "out"
    assert "turn.RUN, turn.TURN" in run(capsys, "library", "pack", shop / "mine", "TURN", "--alone", "--out", file)
    assert "needs" in run(capsys, "library", "info", file)
    assert "needs strip.BOTH" in run(capsys, "library", "add", shop / "empty", file, code=2)
    assert "added       turn.RUN, turn.TURN" in run(capsys, "library", "add", shop / "yours", file, "--out", out)
    merged = run(capsys, "library", "merge", shop / "mine", shop / "yours", "--out", tmp_path / "ours")
    assert "added       fruit.SWAP, fruit.HOME" in merged
    run(capsys, "library", "diff", out, tmp_path / "ours")
    assert "2 rows the same, 7 not" not in run(capsys, "library", "remove", out, "TURN")
    run(capsys, "library", "diff", out, shop / "yours")
    run(capsys, "run", "turn", "1,0,2", "--library", tmp_path / "ours")
    run(capsys, "eval", "--library", tmp_path / "ours", "--sizes", "9", "--count", "5")


# --- proofs and tables ------------------------------------------------------------------------------------------------


def test_certify_proves_rows_and_finds_what_is_wrong(capsys, shop: Path, tmp_path) -> None:
    assert "proved for every input of every size: 9 of 9 programs" in run(capsys, "certify", "--library", shop / "mine")
    (one,) = json.loads(run(capsys, "certify", "SCAN", "--library", shop / "mine", "--json"))
    assert (one["proved"], one["configurations"], one["fields"]) == (True, 2, ["last(P)"])
    assert one["margin"] > 0
    spoiled(Library.open(shop / "mine"), "strip.SCAN").save(tmp_path / "bad")
    told = run(capsys, "certify", "--library", tmp_path / "bad", code=1)
    assert "8 of 9 programs" in told
    assert "strip.SCAN goes wrong on both of items = " in told
    document = json.loads(run(capsys, "certify", "turn.TURN", "--library", tmp_path / "bad", "--json", code=1))
    assert [one["proved"] for one in document] == [True]
    (scan,) = json.loads(run(capsys, "certify", "SCAN", "--library", tmp_path / "bad", "--json", code=1))
    assert scan["where"].startswith("last(P) = ")
    assert scan["counterexample"]["task"] == "both"


def test_a_close_decision_is_not_proved(capsys, shop: Path, monkeypatch) -> None:
    (one,) = json.loads(run(capsys, "certify", "SCAN", "--library", shop / "mine", "--json"))
    monkeypatch.setattr("npi.universal.proof.TOLERANCE", one["margin"])
    told = run(capsys, "certify", "SCAN", "--library", shop / "mine", code=1)
    assert "strip.SCAN decides as its text does, in 1 configuration by less than" in told
    monkeypatch.setattr("npi.universal.proof.TOLERANCE", one["margin"] * 0.99)
    run(capsys, "certify", "SCAN", "--library", shop / "mine")


def test_certificates_are_for_other_cores(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "certificate"
    told = run(capsys, "certify", "--library", shop / "mine", "--out", out, code=2)
    assert "proved anew in moments" in told
    assert not out.exists()
    library = taught("strip")
    with pytest.raises(LibraryError, match="no certificate is written"):
        certificate_of(library, prove(library))


def test_a_row_that_another_seal_was_put_on_is_not_proved() -> None:
    library = taught("strip")
    with torch.no_grad():
        library.memory.embeddings_NP[0, 0] += 1
    proofs = [proof for _, proofs in prove(library) for proof in proofs]
    assert [proof.proved for proof in proofs].count(False) == 1
    assert "belong to another wiring" in proofs[0].trouble
    with pytest.raises(ValueError, match="belong to another wiring"):
        operations.merge(library, taught("fruit"))


def test_compiled_it_decides_the_same(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.npic"
    run(capsys, "compile", "--library", shop / "mine", "--out", file)
    found, library = CompiledLibrary.open(file), Library.open(shop / "mine")
    for programs in library.sets:
        one, two = found.stepper(programs.table), library.stepper(programs.table)
        for name, part in vars(two.tables).items():  # type: ignore[attr-defined]
            assert torch.equal(getattr(one.tables, name), part), name  # type: ignore[attr-defined]
    run(capsys, "eval", "--library", file, "--sizes", "9", "--count", "5")
    run(capsys, "compile", "--library", shop / "empty", "--out", file)


def test_what_it_cannot_do_is_told(capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path) -> None:
    """One line, never a traceback."""
    mine = shop / "mine"
    (tmp_path / "models").mkdir()
    assert "a world of cars" in run(capsys, "eval", "turn", "--library", mine, "--meshes", tmp_path / "models", code=2)
    assert "has no program over world 'tape'" in str(_raised(lambda: Library.open(mine).stepper(text("tape").table)))
    assert "learn it first" in str(_raised(lambda: Library.open(mine).stepper(text("twist").table)))
    assert "has no task" in run(capsys, "run", "turn", "1,0", "--library", shop / "empty", code=2)


def _raised(call: Callable[[], object]) -> LibraryError:
    with pytest.raises(LibraryError) as error:
        call()
    return error.value
