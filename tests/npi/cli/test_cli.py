"""The command line: help, what is wrong with what is typed, and what it tells of programs and traces."""

import re
import shutil
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from npi.cli.interrupts import stop_on_interrupt
from npi.cli.main import COMMANDS, GROUPS, complaint, made, main
from npi.library.library import Library
from tests.support.paths import ROOT
from tests.support.tape_programs import contents, document, npi
from traces.machine.outcome import Budget
from traces.storage.trace_set import TraceSet

PROGRAMS = ROOT / "programs"

# help


def test_help_imports_nothing_heavy():
    probe = (
        "import sys\nfrom npi.cli.main import main\nassert main(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'lark', 'networkx', 'rich.console', 'dsl', 'traces', 'envs.registry'}\n"
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
    assert [name for name in re.findall(r"programs/\S+\.npi", example) if not (ROOT / name).is_file()] == []


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
    (
        ["check", "{folder}/endless.npi", "--steps", "500"],
        ["still running after 500 steps", "endless.npi, line 6)"],
    ),
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
    (["train", "{folder}/tape.npi", "--out", "{new}", "--rate", "-1"], ["rate must be positive"]),
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
def test_bad_input_is_one_clear_message(capsys, tmp_path, tape_files, tape_library, tape_traces, words, parts):
    places = {"folder": tape_files, "library": tape_library, "traces": tape_traces, "programs": PROGRAMS}
    places["new"] = tmp_path / "new"
    before = contents(tape_library)
    code, _, err = npi(capsys, *(word.format(**places) for word in words))
    assert code == 2
    for part in parts:
        assert part in err
    assert "Traceback" not in err
    assert contents(tape_library) == before


def test_damage_is_told(capsys, tmp_path, tape_library):
    copy = tmp_path / "copy"
    shutil.copytree(tape_library, copy)
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
    assert "write texts and names in UTF-8" in str(complaint(UnicodeEncodeError("utf-8", "a", 0, 1, "no letter")))
    assert complaint(FileNotFoundError(2, "No such file or directory", "a.npi")) == (
        "a.npi: No such file or directory; check the path and what may be read and written there"
    )


def test_a_traceback_on_request(capsys, monkeypatch):
    monkeypatch.setenv("NPI_TRACEBACK", "1")
    with pytest.raises(ValueError, match="cannot be read"):
        main(["graph", "none.npi"])


def test_commands_work_in_a_runner(tape_files):
    """The same errors and codes where the app is called without :func:`main`."""
    found = CliRunner().invoke(made(), ["graph", str(tape_files / "typo.npi")])
    assert found.exit_code == 2
    assert "did you mean STEP?" in found.output


# check, graph


def test_check_says_what_a_file_declares(capsys, tape_files):
    code, out, err = npi(capsys, "check", tape_files / "tape.npi", tape_files / "trip.npi")
    assert (code, err) == (0, "")
    for part in (
        "world tape: scratchpad; it shows P, first(P), last(P)",
        "CLEAR     STEP, ACT   Write 0 into every cell",
        "task clear(items: a list of 0 or 1) runs CLEAR; trained at 1..6, tested at 3, 12",
        "ran clear: 20 random problems of sizes 1..5 came out as expected",
        "tape.CLEAR",
    ):
        assert part in out


def test_check_goes_on_after_a_bad_file(capsys, tape_files):
    paths = [tape_files / name for name in ("typo.npi", "tape.npi", "wrong.npi")]
    reports = document(capsys, "check", *paths, code=2)
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


def test_check_without_a_run(capsys, tape_files):
    code, out, _ = npi(capsys, "check", "--no-run", tape_files / "wrong.npi")
    assert code == 0
    assert "ran clear" not in out


def test_graph_marks_recursion_and_what_was_shown(capsys, tape_files):
    assert npi(capsys, "graph", tape_files / "deep.npi")[1] == (
        "deep.WALK                 Go right to the end, by calling itself\n"
        "├─ ACT                    Move a pointer, write under it, or swap the cells under two pointers\n"
        "└─ deep.WALK (recursion)\n"
    )
    sort = npi(capsys, "graph", PROGRAMS / "max.npi")[1]
    assert "bubblesort.RSHIFT ..." in sort
    assert document(capsys, "graph", tape_files / "deep.npi")["recursive"] == [["deep.WALK"]]


@pytest.mark.parametrize(
    ("option", "first", "edge"), [("--dot", "digraph calls {", "n1 -> n2;"), ("--mermaid", "flowchart TD", "n1 --> n2")]
)
def test_graph_for_other_programs(capsys, tape_files, option, first, edge):
    lines = npi(capsys, "graph", tape_files / "tape.npi", option)[1].splitlines()
    assert lines[0] == first
    assert edge in [line.strip() for line in lines]


def test_graph_of_a_part(capsys):
    found = document(capsys, "graph", PROGRAMS / "max.npi", "--program", "RESET")
    assert {node["name"] for node in found["nodes"]} == {"bubblesort.RESET", "bubblesort.LSHIFT", "ACT"}


# trace, show


def test_trace_counts(capsys, tmp_path, tape_files):
    words = ["trace", tape_files / "tape.npi", "--out", tmp_path / "set", "--traces", 5, "--sizes", "2,3"]
    found = document(capsys, *words)
    assert (found["traces"], found["frames"], len(TraceSet.open(tmp_path / "set", verify="hash"))) == (10, 25, 10)
    clear, step = found["programs"]
    assert (clear["program"], clear["frames"], clear["longest"]) == ("tape.CLEAR", 10, 4)
    assert (step["program"], step["frames"], step["longest"]) == ("tape.STEP", 15, 3)
    assert document(capsys, *words)["bytes"] == found["bytes"]


def test_trace_hands_its_options_on(capsys, tmp_path, tape_files, monkeypatch):
    seen = {}

    def generate(programs, **settings):
        seen.update(settings)
        raise ValueError("enough is seen")

    monkeypatch.setattr("traces.generation.generate.generate", generate)
    words = ["--sizes", "2,5", "--traces", 7, "--processes", 3, "--seed", 4, "--out", tmp_path / "set"]
    words += ["--steps", 900, "--depth", 80]
    assert npi(capsys, "trace", tape_files / "tape.npi", *words)[0] == 2
    del seen["progress"]
    assert seen.pop("budget") == Budget(steps=900, depth=80)
    assert seen == {"task": "clear", "traces": {2: 7, 5: 7}, "seed": 4, "out": tmp_path / "set", "processes": 3}


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_trace_says_what_it_kept(capsys, tmp_path, tape_files, monkeypatch, by):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr("traces.generation.generate.generate", lambda *_, **__: signal.raise_signal(by))
    code, out, err = npi(capsys, "trace", tape_files / "tape.npi", "--out", tmp_path / "set")
    assert (code, out) == (128 + by, "")
    assert "finished shards are kept" in err
    assert before == {number: signal.getsignal(number) for number in before}


def test_signals_that_are_ignored_stay_so():
    """As ``nohup`` has it; Ctrl-C is answered all the same."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            assert stop()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_show_reads_like_the_paper(capsys, tape_files):
    assert npi(capsys, "show", tape_files / "tape.npi", "1,0")[1] == (
        "# clear(items = [1, 0]): sum(A) = 0, 6 steps\n"
        "CLEAR\n  STEP\n    ACT(P, WRITE, 0)\n    ACT(P, RIGHT)\n  ACT(P, WRITE, 0)\n"
    )


def test_show_a_trace_of_a_set(capsys, tape_traces):
    lines = npi(capsys, "show", tape_traces, "--trace", 11, "--obs", "--returns")[1].splitlines()
    assert lines[0].startswith("# trace 11 of 12 of clear: size 4, ")
    assert lines[2].startswith("  STEP    # P=")
    assert "first(P)" in lines[2]
    assert lines[-1].startswith("  return    # P=0")
    assert "last(P)" in lines[-1]
    steps = document(capsys, "show", tape_traces, "--trace", 11)
    assert [(call["depth"], call["call"]) for call in steps["calls"][:3]] == [
        (1, "STEP"),
        (2, "ACT(P, WRITE, 0)"),
        (2, "ACT(P, RIGHT)"),
    ]
    assert len(steps["calls"]) == steps["steps"] == 4 * 3 + 2
    assert steps["calls"][-1]["observed"] == {"P": "0", "first(P)": "no", "last(P)": "yes"}


def test_show_leaves_the_middle_out(capsys, tape_files):
    whole = npi(capsys, "show", tape_files / "tape.npi", "1" * 30, "--limit", 0)[1].splitlines()
    short = npi(capsys, "show", tape_files / "tape.npi", "1" * 30, "--limit", 9)[1].splitlines()
    assert short == [*whole[:7], "... 80 lines more (--limit 0 shows all)", *whole[-3:]]


def test_show_what_a_library_holds(capsys, tape_library):
    code, out, _ = npi(capsys, "show", tape_library)
    assert code == 0
    assert "tape.CLEAR            0   Write 0 into every cell" in out
    assert "trip.HOME             0   Go to the left end" in out
    assert f"npi run tape.clear 0,1,0 --library {tape_library}" in out
    found = document(capsys, "show", tape_library)
    assert found["core"] == Library.open(tape_library).core.digest()
    assert found["tasks"] == {"tape.clear": [1, 2, 3, 4, 5, 6], "trip.trip": [1, 2, 3, 4, 5, 6]}
