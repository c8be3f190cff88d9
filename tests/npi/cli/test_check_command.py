"""``npi check`` on folders of traces, and lines that are not broken where no terminal is there to break them for."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console

import dsl
from envs.spec import ProgramTable, Signature
from envs.stepper import Action
from npi.cli.console import Column, Screen, aligned, grid, number, plain
from tests.support.tape_programs import npi
from traces.conflicts.explain import look_at_set
from traces.generation.generate import generate
from traces.machine.lockstep import Status
from traces.recording.batch import TraceBatch
from traces.recording.recorder import ManualRecorder
from traces.storage.trace_set import TraceInfo, TraceSet, TraceSetWriter


@dataclass(frozen=True)
class Place:
    file: str
    line: int


WORLD = """world list is scratchpad:
    row A of 0..2
    pointer P on A
    counter K on A

"""
TEXT = (
    WORLD
    + """program X:
    ACT(P, RIGHT)

task go(items: list of 0..2):
    A = items
    run X
    expect len(A) == len(items)
    train items of 2..4
"""
)


def moody(programs: dsl.ProgramSet, size: int, seed: int, count: int) -> TraceBatch:
    """Runs of problems that are drawn with a seed, by a teacher that looks at the symbol under the moved counter."""
    world = programs.world
    now = {"state": world.reset([{"A": [0]}])}
    recorder = ManualRecorder(
        programs.table,
        observe=lambda: world.observe(now["state"]).fields_BF[0].tolist(),
        perform=lambda call: world.act(now["state"], Action(torch.tensor([call])), torch.ones(1, dtype=torch.bool)),
    )
    generator = torch.Generator().manual_seed(seed)
    for problem in programs.task("go").draw(size, count, generator=generator, spread=True):
        now["state"] = world.reset([problem.layout])
        with recorder.trace("X", size=size, seed=seed):
            recorder.act("ACT", "K", "RIGHT")
            two = world.read(now["state"])[0]["under(K)"][0] == 2
            recorder.act("ACT", "P", "RIGHT" if two else "LEFT")
    return recorder.batch()


def moody_set(folder: Path, *, known: bool) -> TraceSet:
    """Such runs on disk, with the program file that their inputs come from or without."""
    programs = dsl.loads(TEXT)
    named = TraceInfo(program="text.npi", sources=(("text.npi", TEXT),), task="go")
    writer = TraceSetWriter(folder, programs.table, named if known else TraceInfo())
    shards = [writer.write(n, moody(programs, size, seed, 8)) for n, (size, seed) in enumerate([(3, 11), (4, 12)])]
    return writer.finish(shards)


def test_a_set_that_cannot_be_learned_is_told_with_both_steps(capsys, tmp_path) -> None:
    moody_set(tmp_path / "set", known=True)
    code, out, err = npi(capsys, "check", tmp_path / "set")
    assert code == 2
    assert out == f"{tmp_path / 'set'}: 16 traces, 6 different frames\n"
    lines = err.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'set'}: X decides differently after the same observations (")
    assert lines[1].split()[:2] == ["where", "batch"]
    assert lines[1].count("batch ") == 2, "both places in one line"
    assert lines[2].count("A = ") == 2
    assert "ACT(P, RIGHT)" in lines[3]
    assert "ACT(P, LEFT)" in lines[3]
    assert "  they differ in the symbol under K: " in err
    assert "to fix: declare K as a pointer, not as a counter" in err

    code, out, _ = npi(capsys, "check", "--json", tmp_path / "set")
    (report,) = json.loads(out)
    assert (code, report["ok"], report["traces"], report["task"]) == (2, False, 16, "go")
    sides = report["conflict"]["sides"]
    assert {side["call"] for side in sides} == {"ACT(P, RIGHT)", "ACT(P, LEFT)"}
    assert {"batch", "trace", "frame", "step", "input"} <= set(sides[0])
    assert report["conflict"]["apart"][0]["what"] == "the symbol under K"


def test_without_its_program_file_a_set_is_told_as_far_as_the_traces_go(capsys, tmp_path) -> None:
    found = moody_set(tmp_path / "set", known=False)
    conflict = look_at_set(found).conflict
    assert [side.layout for side in conflict.sides] == ["", ""]
    assert npi(capsys, "check", tmp_path / "set")[0] == 2


def test_inputs_that_are_not_those_of_the_traces_are_not_shown(tmp_path: Path) -> None:
    """Red where a conflict is explained by inputs that a changed file draws: they do not begin as the traces do."""
    programs = dsl.loads(TEXT)
    other = TEXT.replace("A = items", "A = reversed(items)")
    writer = TraceSetWriter(tmp_path, programs.table, TraceInfo(sources=(("text.npi", other),), task="go"))
    conflict = look_at_set(writer.finish([writer.write(0, moody(programs, 4, 12, 16))])).conflict
    assert [side.layout for side in conflict.sides] == ["", ""]


def test_a_set_of_a_teacher_has_no_conflict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = generate(dsl.loads(TEXT), task="go", traces=4, seed=3, out=tmp_path / "set")
    assert look_at_set(found).conflict is None
    code, out, err = npi(capsys, "check", tmp_path / "set")
    assert (code, err) == (0, "")
    assert out.startswith(f"{tmp_path / 'set'}: 4 traces, ")
    assert out.endswith(" none against another\n")


def walks(folder: Path, way: str, *, first: bool = True, known: bool = True, size: int = 3) -> TraceSet:
    """Six runs of X, each one move; ``first`` says whether X is the first program of its table."""
    programs = dsl.loads(TEXT)
    table = programs.table
    if not first:
        table = ProgramTable(table.world, (Signature("text.W"), *table.programs), ((), *table.calls))
    world, now = programs.world, {}
    recorder = ManualRecorder(
        table,
        observe=lambda: world.observe(now["state"]).fields_BF[0].tolist(),
        perform=lambda call: world.act(now["state"], Action(torch.tensor([call])), torch.ones(1, dtype=torch.bool)),
    )
    generator = torch.Generator().manual_seed(5)
    for problem in programs.task("go").draw(size, 6, generator=generator, spread=True):
        now["state"] = world.reset([problem.layout])
        with recorder.trace("X", size=size, seed=5):
            recorder.act("ACT", "P", way)
    named = TraceInfo(program="text.npi", sources=(("text.npi", TEXT),), task="go")
    writer = TraceSetWriter(folder, table, named if known else TraceInfo())
    return writer.finish([writer.write(0, recorder.batch())])


@pytest.mark.parametrize("first", [True, False])
def test_sets_that_contradict_each_other_are_both_named(capsys, tmp_path: Path, first: bool) -> None:
    """Each is right by itself; also where the other has X under another id. They are found by train and learn, too."""
    one, two = tmp_path / "a" / "set", tmp_path / "b" / "set"
    walks(one, "RIGHT", known=first)
    walks(two, "LEFT", first=first, known=first)
    walks(tmp_path / "same", "RIGHT", size=4, known=False)
    code, out, _ = npi(capsys, "check", one, tmp_path / "same")
    assert code == 0
    assert out.endswith(f"{one} and {tmp_path / 'same'} together: none against another\n")
    code, out, err = npi(capsys, "check", one, two)
    assert (code, out.count("none against another")) == (2, 2)
    lines = err.splitlines()
    assert lines[0].startswith(f"{one} and {two} contradict each other: X decides differently after the same")
    where = "batch 0, trace 0, frame 0, step 0"
    assert lines[1].split() == ["where", f"{one},", *where.split(), f"{two},", *where.split()]
    assert ("input" in err) == first
    code, out, _ = npi(capsys, "check", "--json", one, two)
    report = json.loads(out)[-1]
    assert (report["ok"], report["folders"]) == (False, [str(one), str(two)])
    assert [side["source"] for side in report["conflict"]["sides"]] == [str(one), str(two)]
    for words in (["train"], ["learn", "--library"]):
        place = [] if words[1:] else ["--out"]
        code, _, err = npi(capsys, *words[:1], one, two, *words[1:], *place, tmp_path / "library")
        assert code == 2
        assert f"  {one}, batch 0, " in err
        assert f"  {two}, batch 0, trace 0, frame 0, step 0  ACT(P, LEFT)" in err


def test_training_names_the_folder_that_contradicts_itself(capsys, tmp_path: Path) -> None:
    moody_set(tmp_path / "set", known=False)
    code, _, err = npi(capsys, "train", tmp_path / "set", "--out", tmp_path / "library")
    assert (code, err.count(f"  {tmp_path / 'set'}, batch ")) == (2, 2)


def test_files_and_folders_are_checked_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "list.npi"
    path.write_text(TEXT, encoding="utf-8")
    generate(dsl.load(path), task="go", traces=4, out=tmp_path / "set")
    code, out, _ = npi(capsys, "check", "--json", path, tmp_path / "set", tmp_path)
    assert [report["ok"] for report in json.loads(out)] == [True, True, False]
    assert code == 2


# --- lines and tables ------------------------------------------------------------------------------------------------


def test_no_line_is_broken_where_no_terminal_is(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "-".join(["a-long-name"] * 12)
    folder.mkdir()
    path = folder / "list.npi"
    doc = "It says at length what it does, " * 6
    path.write_text(f'{WORLD}program X "{doc}":\n    ACT(P, RIGHT)\n', encoding="utf-8")
    code, out, err = npi(capsys, "check", path)
    assert (code, err) == (0, "")
    assert f"  warning: {path}:6:1: NPI200: program X is never called and no task runs it: it will have no traces" in (
        out.splitlines()
    )
    assert any(doc.strip() in line for line in out.splitlines())
    (folder / "wrong.npi").write_text("world list is scratchpad:\n    row A of 0..2 or nothing\n", encoding="utf-8")
    code, _, err = npi(capsys, "check", folder / "wrong.npi")
    assert code == 2
    assert err.startswith(f"{folder / 'wrong.npi'}:2:")
    assert len(err.splitlines()) == 4


def test_plain_tables_look_as_those_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column(" name"), Column("what"), number("n"))
    rows = [(" one", "first", ""), (" a", "the second of them", "22"), (" b", "", "1,234")]
    console = Console(width=100, markup=False)
    with console.capture() as captured:
        console.print(grid(columns, rows))
    assert [line.rstrip() for line in captured.get().splitlines()] == aligned(columns, rows)


def test_a_table_of_objects_and_mappings(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[object] = [Place("a", 1200), {"file": "a", "line": 3}, Place("b", 3)]
    columns = (Column("file", once=True), number("line"), Column("even", lambda row: row["line"] % 2 == 0))
    Screen().table(rows, *columns[:2], Column("is", lambda row: type(row).__name__), title="Places")
    assert capsys.readouterr().out.splitlines() == [
        "Places", " file    line   is", "──────────────────────", " a      1,200   Place", "            3   dict",
        " b          3   Place",
    ]  # fmt: skip
    Screen(json=True).table(rows, *columns)
    assert capsys.readouterr().out == ""


def test_results_are_documents() -> None:
    given = {"seconds": 1.23456789, "at": Place("a", 2), "left": math.inf, "all": (Status.DONE, Path("x") / "y", True)}
    expected = {"seconds": 1.2346, "at": {"file": "a", "line": 2}, "left": None, "all": ["DONE", "x/y", True]}
    assert plain(given) == expected
