"""The command line: training, runs, proofs and learning; how it ends, what it keeps when it is interrupted."""

import json
import signal

from npi.cli import demo
from npi.cli.main import main
from npi.library.library import Library
from tests.support.interrupted import interrupted
from tests.support.tape_programs import contents, document, npi, training

QUICK = ["--traces", "8"]
"""Few runs, which are enough for the tape."""


# train


def test_train_from_program_file_and_from_traces(capsys, tmp_path, tape_files, tape_traces):
    words = ["train", tape_files / "tape.npi", tape_traces, "--out", tmp_path / "both", "--updates", 2, *QUICK]
    found = document(capsys, *words, code=1)
    assert (found["solved"], found["updates"], found["resumed"]) == (False, 2, False)
    assert {row["program"] for row in found["programs"]} == {"tape.CLEAR", "tape.STEP"}
    assert found["core"] == Library.open(tmp_path / "both").core.digest()


def test_training_that_is_not_done_says_what_to_do(capsys, tmp_path, tape_files):
    code, out, _ = npi(capsys, "train", tape_files / "tape.npi", "--out", tmp_path / "raw", "--updates", 1, *QUICK)
    assert code == 1
    assert "raise --updates" in out


def test_the_seed_decides(capsys, tmp_path, tape_files):
    cores = []
    for number, seed in enumerate((1, 1, 2)):
        words = ["train", tape_files / "tape.npi", "--out", tmp_path / str(number), "--updates", 3, *QUICK]
        cores.append(document(capsys, *words, "--seed", seed, code=1)["core"])
    assert cores[0] == cores[1] != cores[2]


SLOWLY = ["--rate", "0.00005"]
"""A rate at which the tape takes some 300 updates: training is not done at its first check."""


def test_interrupted_training_goes_on_to_the_same_core(capsys, tmp_path, tape_files):
    """What is kept can be evaluated on the way."""
    words = [*training(tape_files), *SLOWLY]
    assert main(["train", *words, "--out", str(tmp_path / "whole")]) == 0
    out, state = tmp_path / "library", tmp_path / "library.training" / "checkpoint.safetensors"
    _, err = interrupted(["train", *words, "--out", str(out)], state)
    assert f"the state is kept in {out}.training, and the same command resumes" in err
    assert f"; npi eval --library {out}.training evaluates it as it stands" in err
    assert state.exists()
    assert not out.exists()
    code, text, _ = npi(capsys, "eval", "--library", f"{out}.training", "--sizes", "2", "--count", "4", "--json")
    scores = json.loads(text)
    assert code == int(any(score["right"] < 4 for score in scores))
    assert {score["count"] for score in scores} == {4}
    code, _, err = npi(capsys, "learn", tape_files / "tape.npi", "--library", f"{out}.training")
    assert code == 2
    assert "belongs to a training run, which writes over it; give --out" in err

    found = document(capsys, "train", *words, "--out", out)
    assert (found["resumed"], found["solved"]) == (True, True)
    uninterrupted = Library.open(tmp_path / "whole")
    assert uninterrupted.history[0]["updates"] > 100
    assert (found["core"], found["rows"]) == (uninterrupted.core.digest(), uninterrupted.rows_digest())
    assert not state.exists()


def test_sigterm_that_comes_twice_keeps_the_state(capsys, tmp_path, tape_files):
    """At a rate that solves nothing, until there are no updates left."""
    out, state = tmp_path / "library", tmp_path / "library.training" / "checkpoint.safetensors"
    words = ["train", str(tape_files / "tape.npi"), *QUICK, "--bits", "2", "--rate", "1e-9", "--out", str(out)]
    _, err = interrupted(words, state, by=signal.SIGTERM)
    assert f"the state is kept in {out}.training, and the same command resumes" in err
    assert not out.exists()
    found = document(capsys, *words, "--updates", 1, code=1)
    assert (found["resumed"], found["interrupted"], found["solved"]) == (True, False, False)
    assert found["updates"] > 1
    assert found["core"] == Library.open(out).core.digest()


# run, eval


def test_run_draws_the_run(capsys, tape_library):
    code, out, err = npi(capsys, "run", "clear", "1,1", "--library", tape_library)
    assert (code, err) == (0, "")
    assert out.partition("sum(A)")[0] == (
        f"clear(items = [1, 1]) by the core of {tape_library}\n\n"
        "A  11\n   ^ P\n\n"
        "CLEAR\n  STEP\n    ACT(P, WRITE, 0)\n    ACT(P, RIGHT)\n  ACT(P, WRITE, 0)\n\n"
        "A  00\n    ^ P\n\n"
    )
    assert "sum(A) = 0, expected sum(A) = 0: right\n6 steps in " in out


def test_run_draws_after_every_primitive(capsys, tape_files, tape_library):
    """A core that makes the text's calls draws what the text draws."""
    by_core = npi(capsys, "run", "clear", "1,1", "--library", tape_library, "--every")[1].splitlines()
    by_text = npi(capsys, "run", "clear", "1,1", "--teacher", tape_files / "tape.npi", "--every")[1].splitlines()
    assert by_core[1:-1] == by_text[1:-1]
    after = by_core.index("    ACT(P, RIGHT)")
    assert by_core[after + 1 : after + 3] == ["      A  01", "          ^ P"]


def test_long_runs_leave_the_middle_out(capsys, tape_files):
    out = npi(capsys, "run", "clear", "1" * 40, "--teacher", tape_files / "tape.npi", "--limit", 12)[1]
    calls = [line for line in out.splitlines() if "STEP" in line or "ACT" in line or "..." in line]
    assert len(calls) == 13
    assert calls[8] == "  ... 106 calls more (--limit 0 shows all)"
    assert f"A  {'0' * 40}\n" in out


def test_quiet_runs_print_the_result(capsys, tape_library):
    assert npi(capsys, "run", "tape.clear", "1,1,1", "--library", tape_library, "--quiet")[:2] == (0, "sum(A) = 0\n")


def test_steps_wait_at_a_terminal(capsys, tape_library, monkeypatch):
    asked = []

    def answer(prompt):
        asked.append(prompt)
        return "q" if len(asked) == 3 else ""

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code, out, _ = npi(capsys, "run", "clear", "1,1", "--library", tape_library, "--step")
    assert code == 0
    assert asked == [f"call {number} of 4; Enter: next, q: end: " for number in (1, 2, 3)]
    assert "A  01" in out


def test_a_wrong_run_ends_with_1(capsys, raw_library):
    code, out, err = npi(capsys, "run", "clear", "1,1", "--library", raw_library)
    assert code == 1
    assert ": wrong" in out
    assert "clear(items = [1, 1]) is not solved" in err
    assert document(capsys, "run", "clear", "1,1", "--library", raw_library, code=1)["right"] is False


def test_too_few_steps(capsys, tape_files):
    code, _, err = npi(capsys, "run", "clear", "1,1", "--teacher", tape_files / "tape.npi", "--steps", 3)
    assert code == 1
    assert "still running after 3 steps, in tape.CLEAR; allow more with --steps N (the program text takes 6)" in err


def test_run_as_json(capsys, tape_library):
    found = document(capsys, "run", "clear", "1,1", "--library", tape_library)
    del found["seconds"]
    assert found == {
        "task": "clear",
        "inputs": {"items": "[1, 1]"},
        "result": "sum(A) = 0",
        "expected": "sum(A) = 0",
        "right": True,
        "status": "DONE",
        "steps": 6,
        "stop": None,
    }


def test_eval_by_size(capsys, tape_library):
    code, out, _ = npi(capsys, "eval", "clear", "--library", tape_library, "--count", 7)
    rows = [line.split() for line in out.splitlines() if " of 7" in line]
    assert code == 0
    assert [(row[-9], row[-8:-3]) for row in rows] == [
        ("3*", ["7", "of", "7", "100", "%"]),
        ("12", ["7", "of", "7", "100", "%"]),
    ]
    found = document(capsys, "eval", "clear", "--library", tape_library, "--sizes", "2..4,9", "--count", 5)
    assert [(s["size"], s["trained"], s["right"], s["count"]) for s in found] == [
        (2, True, 5, 5),
        (3, True, 5, 5),
        (4, True, 5, 5),
        (9, False, 5, 5),
    ]


def test_eval_of_the_text(capsys, tape_files):
    found = document(capsys, "eval", "--teacher", tape_files / "tape.npi", "--sizes", "5", "--count", 11)
    assert [(s["task"], s["right"], s["steps"]) for s in found] == [("tape.clear", 11, 18.0)]


def test_eval_below_all_ends_with_1(capsys, raw_library):
    code, out, _ = npi(capsys, "eval", "--library", raw_library, "--count", 5)
    assert code == 1
    assert "0 of 5" in out


# certify


def test_a_proof_of_every_program(capsys, tape_library):
    """A program that is wrong in no situation is proved, and the exit code says whether all are."""
    code, out, err = npi(capsys, "certify", "--library", tape_library)
    assert code in (0, 1), err
    found = document(capsys, "certify", "--library", tape_library, code=code)
    assert [proof["program"] for proof in found] == ["tape.CLEAR", "tape.STEP", "trip.HOME", "trip.TRIP"]
    assert all(proof["proved"] == (proof["wrong"] == 0) and proof["configurations"] > 0 for proof in found)
    assert code == int(not all(proof["proved"] for proof in found))
    assert f"{sum(proof['proved'] for proof in found)} of 4 programs" in out
    alone = document(capsys, "certify", "STEP", "--library", tape_library, code=int(not found[1]["proved"]))
    assert alone == [found[1]]


def test_what_was_hardly_trained_is_not_proved(capsys, raw_library):
    code, out, _ = npi(capsys, "certify", "--library", raw_library)
    assert code == 1
    assert "proved for every input of every size: 0 of 2 programs" in out


# learn, demo


def test_learning_changes_rows_only(capsys, tmp_path, tape_files, tape_library):
    before = contents(tape_library)
    found = document(
        capsys, "learn", tape_files / "sweep.npi", "--library", tape_library, "--out", tmp_path / "more", "--starts", 2
    )
    assert found["rows"] == ["sweep.SWEEP"]
    assert found["solved"]
    assert found["unchanged"]
    assert found["core_before"] == found["core_after"] == Library.open(tape_library).core.digest()
    assert contents(tape_library) == before
    assert npi(capsys, "run", "sweep", "1,1,0", "--library", tmp_path / "more")[0] == 0
    assert npi(capsys, "run", "clear", "1,1,0", "--library", tmp_path / "more")[0] == 0


def test_learning_that_is_not_done_changes_nothing(capsys, tape_files, tape_library):
    before = contents(tape_library)
    code, out, _ = npi(capsys, "learn", tape_files / "ones.npi", "--library", tape_library, "--updates", 1)
    assert code == 1
    assert "not solved, so the library is as it was" in out
    assert "bit-identical" in out
    assert contents(tape_library) == before


def test_demo_in_small(capsys, tmp_path, tape_files, monkeypatch):
    """Every stage of the demonstration, on the tape."""
    monkeypatch.setattr(demo, "TRAINED", ("tape.npi", "trip.npi"))
    monkeypatch.setattr(demo, "LEARNED", "sweep.npi")
    monkeypatch.setattr(demo, "TRAINING", {"frames": 64, "certify": True})
    monkeypatch.setattr(demo, "TRACES", 8)
    monkeypatch.setattr(demo, "SHOWN", ("clear", "1,1"))
    monkeypatch.setattr(
        demo, "TESTS", (demo.Test("clear", {3: 5, 9: 5}, 3, 99.0), demo.Test("sweep", {3: 5, 9: 5}, 9, 98.0))
    )
    code, out, err = npi(capsys, "demo", "--programs", tape_files, "--out", tmp_path / "library")
    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if " of 5 " in line and not line.startswith("proved")]
    assert [row[:-2] for row in rows] == [
        ["clear", "1..6", "3", "5", "of", "5", "100", "%", "99.0", "%"],
        ["9", "5", "of", "5", "100", "%"],
        ["sweep", "1..6", "3", "5", "of", "5", "100", "%"],
        ["9", "5", "of", "5", "100", "%", "98.0", "%"],
    ]
    digests = [line.split()[-1] for line in out.splitlines() if line.startswith(("core before", "core after"))]
    assert digests[0] == digests[1] == Library.open(tmp_path / "library").core.digest()
    assert "1  Train one core on tape.npi and trip.npi" in out
    assert "A  00" in out


def test_unsolved_rows_are_kept_where_that_is_asked(capsys, tmp_path, tape_files, tape_library):
    words = ["learn", tape_files / "ones.npi", "--library", tape_library, "--out", tmp_path / "kept", "--keep"]
    assert npi(capsys, *words, "--updates", 1)[0] == 1
    assert "ones.ones" in Library.open(tmp_path / "kept").tasks()
