"""The command line: what it prints, how it ends, what it keeps when it is interrupted."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from npi.cli import demo
from npi.cli.main import COMMANDS, GROUPS, app, complaint, main
from npi.library import Library
from traces.store import TraceSet

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "programs"

TAPE = """\
world tape is scratchpad:
    row A of 0..1
    pointer P on A at left

program CLEAR "Write 0 into every cell":
    while not last(P):
        STEP
    ACT(P, WRITE, 0)

program STEP "Write 0 and go right":
    ACT(P, WRITE, 0)
    ACT(P, RIGHT)

task clear(items: list of 0..1):
    A = items
    run CLEAR
    expect sum(A) == 0
    train items of 1..6
    test items of 3, 12
"""

TRIP = """\
use "tape.npi"

program HOME "Go to the left end":
    while not first(P):
        ACT(P, LEFT)

program TRIP "Clear, and go to the left end again":
    CLEAR
    HOME

task trip(items: list of 0..1):
    A = items
    run TRIP
    expect sum(A) == 0 and at(P) == 0
    train items of 1..6
    test items of 3, 12
"""

SWEEP = """\
use "tape.npi"

program SWEEP "Write 0 into every cell but the last":
    while not last(P):
        STEP

task sweep(items: list of 0..1):
    A = items
    run SWEEP
    expect sum(A) == under(P) and at(P) == len(items) - 1
    train items of 1..6
    test items of 3, 12
"""

ONES = """\
use "tape.npi"

program ONES "Write 1, which no program of the tape does":
    ACT(P, WRITE, 1)

task ones(items: list of 0..1):
    A = items
    run ONES
    expect under(P) == 1
    train items of 1..6
    test items of 3, 12
"""

DEEP = """\
world tape is scratchpad:
    row A of 0..1
    pointer P on A at left

program WALK "Go right to the end, by calling itself":
    if not last(P):
        ACT(P, RIGHT)
        WALK

task walk(items: list of 0..1):
    A = items
    run WALK
    expect at(P) == len(items) - 1
    train items of 1..6
    test items of 3
"""

QUICK = ["--frames", "32"]
"""Updates of few frames, which are enough for the tape."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Program files: the tape, one that uses it, one that uses that, a recursive one, wrong ones."""
    found = tmp_path_factory.mktemp("programs")
    (found / "tape.npi").write_text(TAPE)
    (found / "trip.npi").write_text(TRIP)
    (found / "sweep.npi").write_text(SWEEP)
    (found / "ones.npi").write_text(ONES)
    (found / "deep.npi").write_text(DEEP)
    (found / "wrong.npi").write_text(TAPE.replace("sum(A) == 0", "sum(A) == 1"))
    (found / "typo.npi").write_text(TAPE.replace("        STEP", "        STPE"))
    (found / "endless.npi").write_text(TAPE.replace("    ACT(P, RIGHT)\n", ""))
    (found / "idle.npi").write_text(TAPE.partition("task")[0])
    return found


@pytest.fixture(scope="session")
def library(folder):
    """A library that clears the tape, and comes back."""
    out = folder.parent / "library"
    assert main(["train", *training(folder), "--out", str(out)]) == 0
    return out


def training(folder):
    return [str(folder / "tape.npi"), str(folder / "trip.npi"), "--frames", "64", "--traces", "8"]


@pytest.fixture(scope="session")
def raw(folder):
    """A library that was hardly trained."""
    out = folder.parent / "raw"
    assert main(["train", str(folder / "tape.npi"), "--out", str(out), "--updates", "1"]) == 1
    return out


@pytest.fixture(scope="session")
def traces(folder):
    """A trace set of the tape."""
    out = folder.parent / "sets"
    assert main(["trace", str(folder / "tape.npi"), "--out", str(out), "--traces", "3", "--sizes", "1..4"]) == 0
    return out


def npi(capsys, *words):
    """Exit code, stdout, stderr of a command line."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys, *words, code=0):
    """The JSON of a command line, which must be all of stdout."""
    ended, out, err = npi(capsys, *words, "--json")
    assert ended == code, err
    return json.loads(out)


def contents(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


# help


def test_help_imports_nothing_heavy():
    probe = (
        "import sys\nfrom npi.cli.main import main\nassert main(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'lark', 'networkx', 'rich.console', 'dsl', 'traces', 'envs'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Commands:" in done.stdout


PHRASES = [name for name, _, _ in COMMANDS] + [f"{word} {name}" for word, group, _ in GROUPS for name, _, _ in group]
"""Every command, as it is typed."""


@pytest.mark.parametrize("command", PHRASES)
def test_help_of_a_command_ends_with_an_example(capsys, command):
    code, out, _ = npi(capsys, *command.split(), "--help")
    _, mark, example = out.partition("Example:\n")
    assert code == 0
    assert mark
    assert all(line.strip().startswith(f"npi {command}") for line in example.strip().splitlines())


def test_the_page_names_commands_and_options_that_exist(capsys):
    text = (ROOT / "docs" / "cli.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("npi ")]
    groups = {word for word, _, _ in GROUPS}
    typed = [(words[1:3] if words[1] in groups else words[1:2], words) for words in map(str.split, lines)]
    assert {" ".join(command) for command, _ in typed} == set(PHRASES)
    for command, words in typed:
        line, known = " ".join(words), npi(capsys, *command, "--help")[1].split()
        assert [word for word in words if word.startswith("--") and word not in known] == [], line


def test_version(capsys):
    assert npi(capsys, "--version")[:2] == (0, "npi 0.1.0\n")


# bad input


BAD = [
    (["check", "none.npi"], ["none.npi: cannot be read", "check the path"]),
    (["check", "{folder}/typo.npi"], ["typo.npi:7:9", "STPE", "did you mean STEP?"]),
    (["check", "{folder}/wrong.npi"], ["task clear of items = [", "is not what the task expects"]),
    (["check", "{folder}/endless.npi", "--steps", "500"], ["with STEPS after 500 steps", "a loop that does not end"]),
    (["graph", "none.npi"], ["none.npi: cannot be read"]),
    (["graph", "{folder}/tape.npi", "--program", "CLAER"], ["CLAER"]),
    (["graph", "{folder}/tape.npi", "--dot", "--mermaid"], ["give one of them"]),
    (["trace", "{programs}/addition.npi", "--out", "{new}"], ["several tasks", "--task", "add, rshift"]),
    (["trace", "{folder}/idle.npi", "--out", "{new}"], ["has no task"]),
    (["trace", "{folder}/tape.npi", "--out", "{new}", "--task", "claer"], ["did you mean clear?"]),
    (["trace", "{folder}/tape.npi", "--out", "{new}", "--sizes", "a..b"], ["--sizes 'a..b'", "1..20"]),
    (["trace", "{folder}/tape.npi", "--out", "{folder}"], ["is not empty", "choose an empty or a new folder"]),
    (["trace", "{folder}/tape.npi", "--out", "{traces}"], ["of other settings"]),
    (["trace", "{folder}/wrong.npi", "--out", "{new}"], ["is not what the task expects"]),
    (["show", "{folder}"], ["is not a trace set"]),
    (["show", "{traces}", "--trace", "12"], ["12 traces, numbered from 0"]),
    (["show", "{traces}", "1,0"], ["it takes no inputs"]),
    (["show", "{folder}/tape.npi", "1,2"], ["input items holds 2", "0 or 1"]),
    (["train", "none.npi", "--out", "{new}"], ["none.npi: there is no such program file"]),
    (["train", "{folder}/tape.npi", "--out", "{folder}"], ["holds other files", "name a new or an empty folder"]),
    (["train", "{folder}/tape.npi", "--out", "{new}", "--device", "gpu"], ["device 'gpu' is not known"]),
    (["train", "{folder}/tape.npi", "--out", "{new}", "--rate", "-1"], ["learning rate must be positive"]),
    (["train", "{folder}/tape.npi", "--out", "{new}", "--core", "gru"], ["'gru'"]),
    (["run", "clear", "1,0", "--library", "{new}"], ["there is no folder", "npi train"]),
    (["run", "clear", "1,0", "--library", "{folder}"], ["is not a library"]),
    (["run", "claer", "1,0", "--library", "{library}"], ["no task 'claer'", "did you mean 'clear'?"]),
    (["run", "clear", "1,0", "1", "--library", "{library}"], ["takes 1 inputs", "is given 2"]),
    (["run", "clear", "x", "--library", "{library}"], ["its items are 0 or 1"]),
    (["run", "claer", "1", "--teacher", "{folder}/tape.npi"], ["did you mean clear?"]),
    (["eval", "claer", "--library", "{library}"], ["no task 'claer'"]),
    (["eval", "--library", "{library}", "--sizes", "0"], ["begins below 1"]),
    (["certify", "CLAER", "--library", "{library}"], ["no program CLAER", "did you mean CLEAR?"]),
    (["learn", "{folder}/tape.npi", "--library", "{library}"], ["nothing to learn"]),
    (["learn", "{programs}/bubblesort.npi", "--library", "{library}"], ["has never seen world"]),
    (["learn", "{folder}/sweep.npi", "--library", "{folder}"], ["is not a library", "npi train"]),
    (["demo", "--programs", "{folder}", "--out", "{new}"], ["there is no", "addition.npi", "--programs"]),
    (["nonsense"], ["No such command"]),
    (["check"], ["Missing argument"]),
]


@pytest.mark.parametrize(("words", "parts"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_clear_message(capsys, tmp_path, folder, library, traces, words, parts):
    places = {"folder": folder, "library": library, "traces": traces, "programs": PROGRAMS, "new": tmp_path / "new"}
    before = contents(library)
    code, _, err = npi(capsys, *(word.format(**places) for word in words))
    assert code == 2
    for part in parts:
        assert part in err
    assert "Traceback" not in err
    assert contents(library) == before


def test_damage_is_told(capsys, tmp_path, library):
    copy = tmp_path / "copy"
    shutil.copytree(library, copy)
    (core,) = copy.glob("core-*")
    core.write_bytes(core.read_bytes()[:-1])
    code, _, err = npi(capsys, "run", "clear", "1", "--library", copy)
    assert code == 2
    assert "was changed or cut off" in err


def test_bugs_are_not_hidden():
    assert complaint(KeyError("cells")) is None
    assert complaint(IndexError("list index out of range")) is None
    assert complaint(ZeroDivisionError("division by zero")) is None
    assert complaint(KeyError("no callable 'X' in this table: there is none")) is not None
    assert complaint(FileNotFoundError(2, "No such file or directory", "a.npi")) == (
        "a.npi: No such file or directory; check the path and what may be read and written there"
    )


def test_a_traceback_on_request(capsys, monkeypatch):
    monkeypatch.setenv("NPI_TRACEBACK", "1")
    with pytest.raises(ValueError, match="cannot be read"):
        main(["graph", "none.npi"])


def test_commands_work_in_a_runner(folder):
    """The same errors and codes where the app is called without :func:`main`."""
    found = CliRunner().invoke(app, ["graph", str(folder / "typo.npi")])
    assert found.exit_code == 2
    assert "did you mean STEP?" in found.output


# check, graph


def test_check_says_what_a_file_declares(capsys, folder):
    code, out, err = npi(capsys, "check", folder / "tape.npi", folder / "trip.npi")
    assert (code, err) == (0, "")
    for part in (
        "world tape: scratchpad; it shows P, first(P), last(P)",
        "CLEAR     STEP, ACT   Write 0 into every cell",
        "task clear(items: a list of 0 or 1) runs CLEAR; trained at 1..6, tested at 3, 12",
        "ran clear: 20 random problems of sizes 1..5 came out as expected",
        "tape.CLEAR",
    ):
        assert part in out


def test_check_goes_on_after_a_bad_file(capsys, folder):
    reports = document(capsys, "check", folder / "typo.npi", folder / "tape.npi", folder / "wrong.npi", code=2)
    assert [report["ok"] for report in reports] == [False, True, False]
    assert "STPE" in reports[0]["error"]
    assert reports[1]["tasks"][0]["trial"]["trouble"] is None
    assert reports[1]["programs"][0] == {
        "name": "tape.CLEAR",
        "arguments": {},
        "doc": "Write 0 into every cell",
        "calls": ["tape.STEP", "ACT"],
    }
    assert "is not what the task expects" in reports[2]["tasks"][0]["trial"]["trouble"]


def test_check_without_a_run(capsys, folder):
    code, out, _ = npi(capsys, "check", "--no-run", folder / "wrong.npi")
    assert code == 0
    assert "ran clear" not in out


def test_graph_marks_recursion_and_what_was_shown(capsys, folder):
    assert npi(capsys, "graph", folder / "deep.npi")[1] == (
        "deep.WALK                 Go right to the end, by calling itself\n"
        "├─ ACT                    Move a pointer, write under it, or swap the cells under two pointers\n"
        "└─ deep.WALK (recursion)\n"
    )
    sort = npi(capsys, "graph", PROGRAMS / "max.npi")[1]
    assert "bubblesort.RSHIFT ..." in sort
    assert document(capsys, "graph", folder / "deep.npi")["recursive"] == [["deep.WALK"]]


@pytest.mark.parametrize(
    ("option", "first", "edge"), [("--dot", "digraph calls {", "n1 -> n2;"), ("--mermaid", "flowchart TD", "n1 --> n2")]
)
def test_graph_for_other_programs(capsys, folder, option, first, edge):
    lines = npi(capsys, "graph", folder / "tape.npi", option)[1].splitlines()
    assert lines[0] == first
    assert edge in [line.strip() for line in lines]


def test_graph_of_a_part(capsys):
    found = document(capsys, "graph", PROGRAMS / "max.npi", "--program", "RESET")
    assert {node["name"] for node in found["nodes"]} == {"bubblesort.RESET", "bubblesort.LSHIFT", "ACT"}


# trace, show


def test_trace_counts(capsys, tmp_path, folder):
    words = ["trace", folder / "tape.npi", "--out", tmp_path / "set", "--traces", 5, "--sizes", "2,3"]
    found = document(capsys, *words)
    assert (found["traces"], found["frames"], len(TraceSet.open(tmp_path / "set", verify="hash"))) == (10, 25, 10)
    clear, step = found["programs"]
    assert (clear["program"], clear["frames"], clear["longest"]) == ("tape.CLEAR", 10, 4)
    assert (step["program"], step["frames"], step["longest"]) == ("tape.STEP", 15, 3)
    assert document(capsys, *words)["bytes"] == found["bytes"]


def test_trace_hands_its_options_on(capsys, tmp_path, folder, monkeypatch):
    seen = {}

    def generate(programs, **settings):
        seen.update(settings)
        raise ValueError("enough is seen")

    monkeypatch.setattr("traces.generate.generate", generate)
    words = ["--sizes", "2,5", "--traces", 7, "--processes", 3, "--seed", 4, "--out", tmp_path / "set"]
    assert npi(capsys, "trace", folder / "tape.npi", *words)[0] == 2
    del seen["progress"]
    assert seen == {"task": "clear", "traces": {2: 7, 5: 7}, "seed": 4, "out": tmp_path / "set", "processes": 3}


def test_trace_says_what_it_kept(capsys, tmp_path, folder, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("traces.generate.generate", interrupted)
    code, out, err = npi(capsys, "trace", folder / "tape.npi", "--out", tmp_path / "set")
    assert (code, out) == (130, "")
    assert "finished shards are kept" in err


def test_show_reads_like_the_paper(capsys, folder):
    assert npi(capsys, "show", folder / "tape.npi", "1,0")[1] == (
        "# clear(items = [1, 0]): sum(A) = 0, 6 steps\n"
        "CLEAR\n  STEP\n    ACT(P, WRITE, 0)\n    ACT(P, RIGHT)\n  ACT(P, WRITE, 0)\n"
    )


def test_show_a_trace_of_a_set(capsys, traces):
    lines = npi(capsys, "show", traces, "--trace", 11, "--obs", "--returns")[1].splitlines()
    assert lines[0].startswith("# trace 11 of 12 of clear: size 4, ")
    assert lines[2].startswith("  STEP    # P=")
    assert "first(P)" in lines[2]
    assert lines[-1].startswith("  return    # P=0")
    assert "last(P)" in lines[-1]
    steps = document(capsys, "show", traces, "--trace", 11)
    assert [(call["depth"], call["call"]) for call in steps["calls"][:3]] == [
        (1, "STEP"),
        (2, "ACT(P, WRITE, 0)"),
        (2, "ACT(P, RIGHT)"),
    ]
    assert len(steps["calls"]) == steps["steps"] == 4 * 3 + 2
    assert steps["calls"][-1]["observed"] == {"P": "0", "first(P)": "no", "last(P)": "yes"}


def test_show_leaves_the_middle_out(capsys, folder):
    whole = npi(capsys, "show", folder / "tape.npi", "1" * 30, "--limit", 0)[1].splitlines()
    short = npi(capsys, "show", folder / "tape.npi", "1" * 30, "--limit", 9)[1].splitlines()
    assert short == [*whole[:7], "... 80 lines more (--limit 0 shows all)", *whole[-3:]]


def test_show_what_a_library_holds(capsys, library):
    code, out, _ = npi(capsys, "show", library)
    assert code == 0
    assert "tape.CLEAR            0   Write 0 into every cell" in out
    assert "trip.HOME             0   Go to the left end" in out
    assert f"npi run tape.clear 0,1,0 --library {library}" in out
    found = document(capsys, "show", library)
    assert found["core"] == Library.open(library).core.digest()
    assert found["tasks"] == {"tape.clear": [1, 2, 3, 4, 5, 6], "trip.trip": [1, 2, 3, 4, 5, 6]}


# train


def test_train_from_program_file_and_from_traces(capsys, tmp_path, folder, traces):
    found = document(
        capsys, "train", folder / "tape.npi", traces, "--out", tmp_path / "both", "--updates", 2, *QUICK, code=1
    )
    assert (found["solved"], found["updates"], found["resumed"]) == (False, 2, False)
    assert {row["program"] for row in found["programs"]} == {"tape.CLEAR", "tape.STEP"}
    assert found["core"] == Library.open(tmp_path / "both").core.digest()


def test_training_that_is_not_done_says_what_to_do(capsys, tmp_path, folder):
    code, out, _ = npi(capsys, "train", folder / "tape.npi", "--out", tmp_path / "raw", "--updates", 1, *QUICK)
    assert code == 1
    assert "raise --updates" in out


def test_the_seed_decides(capsys, tmp_path, folder):
    cores = []
    for number, seed in enumerate((1, 1, 2)):
        words = ["train", folder / "tape.npi", "--out", tmp_path / str(number), "--updates", 3, *QUICK, "--seed", seed]
        cores.append(document(capsys, *words, code=1)["core"])
    assert cores[0] == cores[1] != cores[2]


def test_interrupted_training_goes_on_to_the_same_core(tmp_path, folder):
    """At a low rate, which is not done at its first check."""
    slowly = [*training(folder), "--rate", "0.0003"]
    assert main(["train", *slowly, "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "library"
    words = [sys.executable, "-m", "npi.cli.main", "train", *slowly, "--out", str(out)]
    running = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "library.training" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert f"the state is kept in {out}.training" in err
    assert state.exists()
    assert not out.exists()

    done = subprocess.run([*words, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["resumed"], found["solved"]) == (0, True, True)
    uninterrupted = Library.open(tmp_path / "whole")
    assert uninterrupted.history[0]["updates"] > 100
    assert (found["core"], found["rows"]) == (uninterrupted.core.digest(), uninterrupted.rows_digest())
    assert not state.exists()


# run, eval


def test_run_draws_the_run(capsys, library):
    code, out, err = npi(capsys, "run", "clear", "1,1", "--library", library)
    assert (code, err) == (0, "")
    assert out.partition("sum(A)")[0] == (
        f"clear(items = [1, 1]) by the core of {library}\n\n"
        "A  11\n   ^ P\n\n"
        "CLEAR\n  STEP\n    ACT(P, WRITE, 0)\n    ACT(P, RIGHT)\n  ACT(P, WRITE, 0)\n\n"
        "A  00\n    ^ P\n\n"
    )
    assert "sum(A) = 0, expected sum(A) = 0: right\n6 steps in " in out


def test_run_draws_after_every_primitive(capsys, folder, library):
    """A core that makes the text's calls draws what the text draws."""
    by_core = npi(capsys, "run", "clear", "1,1", "--library", library, "--every")[1].splitlines()
    by_text = npi(capsys, "run", "clear", "1,1", "--teacher", folder / "tape.npi", "--every")[1].splitlines()
    assert by_core[1:-1] == by_text[1:-1]
    after = by_core.index("    ACT(P, RIGHT)")
    assert by_core[after + 1 : after + 3] == ["      A  01", "          ^ P"]


def test_long_runs_leave_the_middle_out(capsys, folder):
    out = npi(capsys, "run", "clear", "1" * 40, "--teacher", folder / "tape.npi", "--limit", 12)[1]
    calls = [line for line in out.splitlines() if "STEP" in line or "ACT" in line or "..." in line]
    assert len(calls) == 13
    assert calls[8] == "  ... 106 calls more (--limit 0 shows all)"
    assert f"A  {'0' * 40}\n" in out


def test_quiet_runs_print_the_result(capsys, library):
    assert npi(capsys, "run", "tape.clear", "1,1,1", "--library", library, "--quiet")[:2] == (0, "sum(A) = 0\n")


def test_steps_wait_at_a_terminal(capsys, library, monkeypatch):
    asked = []

    def answer(prompt):
        asked.append(prompt)
        return "q" if len(asked) == 3 else ""

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code, out, _ = npi(capsys, "run", "clear", "1,1", "--library", library, "--step")
    assert code == 0
    assert asked == [f"call {number} of 4; Enter goes on, q ends: " for number in (1, 2, 3)]
    assert "A  01" in out


def test_a_wrong_run_ends_with_1(capsys, raw):
    code, out, err = npi(capsys, "run", "clear", "1,1", "--library", raw)
    assert code == 1
    assert ": wrong" in out
    assert "clear(items = [1, 1]) is not solved" in err
    assert document(capsys, "run", "clear", "1,1", "--library", raw, code=1)["right"] is False


def test_too_few_steps(capsys, folder):
    code, _, err = npi(capsys, "run", "clear", "1,1", "--teacher", folder / "tape.npi", "--steps", 3)
    assert code == 1
    assert "still running after 3 steps (the program text takes 6)" in err


def test_run_as_json(capsys, library):
    found = document(capsys, "run", "clear", "1,1", "--library", library)
    del found["seconds"]
    assert found == {
        "task": "clear",
        "inputs": {"items": "[1, 1]"},
        "result": "sum(A) = 0",
        "expected": "sum(A) = 0",
        "right": True,
        "status": "DONE",
        "steps": 6,
    }


def test_eval_by_size(capsys, library):
    code, out, _ = npi(capsys, "eval", "clear", "--library", library, "--count", 7)
    rows = [line.split() for line in out.splitlines() if " of 7" in line]
    assert code == 0
    assert [(row[-9], row[-8:-3]) for row in rows] == [
        ("3*", ["7", "of", "7", "100", "%"]),
        ("12", ["7", "of", "7", "100", "%"]),
    ]
    found = document(capsys, "eval", "clear", "--library", library, "--sizes", "2..4,9", "--count", 5)
    assert [(s["size"], s["trained"], s["right"], s["count"]) for s in found] == [
        (2, True, 5, 5),
        (3, True, 5, 5),
        (4, True, 5, 5),
        (9, False, 5, 5),
    ]


def test_eval_of_the_text(capsys, folder):
    found = document(capsys, "eval", "--teacher", folder / "tape.npi", "--sizes", "5", "--count", 11)
    assert [(s["task"], s["right"], s["steps"]) for s in found] == [("tape.clear", 11, 18.0)]


def test_eval_below_all_ends_with_1(capsys, raw):
    code, out, _ = npi(capsys, "eval", "--library", raw, "--count", 5)
    assert code == 1
    assert "0 of 5" in out


# certify


def test_a_proof_of_every_program(capsys, library):
    """A program that is wrong in no situation is proved, and the exit code says whether all are."""
    code, out, err = npi(capsys, "certify", "--library", library)
    assert code in (0, 1), err
    found = document(capsys, "certify", "--library", library, code=code)
    assert [proof["program"] for proof in found] == ["tape.CLEAR", "tape.STEP", "trip.HOME", "trip.TRIP"]
    assert all(proof["proved"] == (proof["wrong"] == 0) and proof["situations"] > 0 for proof in found)
    assert code == int(not all(proof["proved"] for proof in found))
    assert f"{sum(proof['proved'] for proof in found)} of 4 programs" in out
    alone = document(capsys, "certify", "STEP", "--library", library, code=int(not found[1]["proved"]))
    assert alone == [found[1]]


def test_what_was_hardly_trained_is_not_proved(capsys, raw):
    code, out, _ = npi(capsys, "certify", "--library", raw)
    assert code == 1
    assert "proved for every input of every size: 0 of 2 programs" in out


# learn, demo


def test_learning_changes_rows_only(capsys, tmp_path, folder, library):
    before = contents(library)
    found = document(
        capsys, "learn", folder / "sweep.npi", "--library", library, "--out", tmp_path / "more", "--starts", 2
    )
    assert found["rows"] == ["sweep.SWEEP"]
    assert found["solved"]
    assert found["unchanged"]
    assert found["core_before"] == found["core_after"] == Library.open(library).core.digest()
    assert contents(library) == before
    assert npi(capsys, "run", "sweep", "1,1,0", "--library", tmp_path / "more")[0] == 0
    assert npi(capsys, "run", "clear", "1,1,0", "--library", tmp_path / "more")[0] == 0


def test_learning_that_is_not_done_changes_nothing(capsys, folder, library):
    before = contents(library)
    code, out, _ = npi(capsys, "learn", folder / "ones.npi", "--library", library, "--updates", 1)
    assert code == 1
    assert "not solved, so the library is as it was" in out
    assert "the same to the bit" in out
    assert contents(library) == before


def test_unsolved_rows_are_kept_where_that_is_asked(capsys, tmp_path, folder, library):
    words = ["learn", folder / "ones.npi", "--library", library, "--out", tmp_path / "kept", "--updates", 1, "--keep"]
    assert npi(capsys, *words)[0] == 1
    assert "ones.ones" in Library.open(tmp_path / "kept").tasks()


def test_demo_in_small(capsys, tmp_path, folder, monkeypatch):
    """Every stage of the demonstration, on the tape."""
    monkeypatch.setattr(demo, "TRAINED", ("tape.npi", "trip.npi"))
    monkeypatch.setattr(demo, "LEARNED", "sweep.npi")
    monkeypatch.setattr(demo, "TRAINING", {"frames": 64, "certify": True})
    monkeypatch.setattr(demo, "TRACES", 8)
    monkeypatch.setattr(demo, "SHOWN", ("clear", "1,1"))
    monkeypatch.setattr(
        demo, "TESTS", (demo.Test("clear", {3: 5, 9: 5}, 3, 99.0), demo.Test("sweep", {3: 5, 9: 5}, 9, 98.0))
    )
    code, out, err = npi(capsys, "demo", "--programs", folder, "--out", tmp_path / "library")
    assert code == 0, err
    rows = [line.split() for line in out.splitlines() if " of 5 " in line]
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
