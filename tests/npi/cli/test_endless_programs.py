"""Programs that never end, by every command that runs them: each stops soon, and names program, line and what to do."""

import pytest

from tests.support.tape_programs import document, npi
from traces.machine.stopped import FREE_CELLS

AWAY = """world tape is scratchpad:
    row DATA of 0..1 or blank at left

program RUN "Run away":
    while DATA != 1 or DATA == 1:
        ACT(DATA, RIGHT)
    ACT(DATA, LEFT)

program DIVE "Call and call":
    ACT(DATA, RIGHT)
    DIVE

program DOWN "Go to the end by recursion":
    if DATA:
        ACT(DATA, RIGHT)
        DOWN
"""

TASK = """
task {name}(data: list of 0..1):
    DATA = data
    run {program}
    expect len(DATA) == len(data)
    train data of 1..4
    test data of 3, 9
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files with one task each, and a folder for what must not be made."""
    folder = tmp_path_factory.mktemp("endless")
    for program in ("RUN", "DIVE", "DOWN"):
        (folder / f"{program.lower()}.npi").write_text(AWAY + TASK.format(name="go", program=program))
    return folder


COMMANDS = {
    "check": "check {file}",
    "show": "show {file} 1,0",
    "trace": "trace {file} --out {new}",
    "train": "train {file} --out {new}",
    "learn": "learn {file} --library {new}",
    "run": "run go 1,0 --teacher {file}",
    "run shortly": "run go 1,0 --teacher {file} --steps 1000",
    "eval": "eval --teacher {file} --count 2",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("program", ["run", "dive"])
def test_a_program_without_end_is_named_with_its_line(command, program, places, tmp_path, capsys) -> None:
    """Without the machine's proof a run takes a million steps, and says another thing."""
    code, out, err = npi(
        capsys, *COMMANDS[command].format(file=places / f"{program}.npi", new=tmp_path / "new").split()
    )
    assert code in (1, 2)
    assert not (tmp_path / "new").exists() or command == "trace"
    says = {
        "run": f"run.RUN never ends: its loop ({places}/run.npi, line 5) goes round for ever",
        "dive": f"calls reached the depth 10,000: dive.DIVE ({places}/dive.npi, line 9) calls itself; end the "
        "recursion, or allow more with --depth N",
    }
    assert says[program] in err
    assert "the program text takes" not in out + err


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("train", "learn", "run shortly")])
def test_depth_bounds_a_recursion_that_ends(command, places, capsys) -> None:
    words = COMMANDS[command].format(file=places / "down.npi", new=places / f"down-{command}").split()
    code, _, err = npi(capsys, *words, "--depth", 2)
    assert code in (1, 2)
    assert "calls reached the depth 2: down.DOWN" in err
    assert "--depth N" in err
    assert npi(capsys, *words, "--depth", 30)[0] == 0


def test_what_stopped_runs_is_in_the_scores(places, capsys) -> None:
    rows = document(capsys, "eval", "--teacher", places / "down.npi", "--count", 4, "--depth", 6, code=1)
    assert [(row["size"], row["right"], row["stopped"]) for row in rows] == [(3, 4, 0), (9, 0, 4)]
    assert rows[0]["stop"] == ""
    assert rows[1]["stop"].startswith("calls reached the depth 6: down.DOWN")


FLAT = """world pad is scratchpad:
    row DATA, OUT of 0..1 or blank at left

program FLAT "Many calls in a row":
{calls}

task flat(data: list of 0..1):
    DATA = data
    run FLAT
    expect len(OUT) == {half}
    train data of 1..2
    test data of 1
"""


def test_a_flat_body_is_told_before_training_and_learned_as_a_row(tmp_path, capsys) -> None:
    """Six hundred calls in a row: too many for a core to find six bits of state for, and none too many for a row."""
    calls = "\n".join(["    ACT(OUT, WRITE, 1)\n    ACT(OUT, RIGHT)"] * 300)
    file = tmp_path / "flat.npi"
    file.write_text(FLAT.format(calls=calls, half=300))
    words = ["--traces", 1, "--updates", 1, "--out", tmp_path / "trained"]
    assert "npi: flat" not in npi(capsys, "train", file, *words)[2], "forced states take as many bits as they need"
    _, _, err = npi(capsys, "train", file, *words, "--states", "learned", "--frames", 1, "--fresh")
    told = [line for line in err.splitlines() if line.startswith("npi: ")]
    assert told == [
        "npi: flat.FLAT has frames of up to 601 steps, and an update takes as long as its longest frame",
        "npi: flat.FLAT has 601 states, and a core of 6 bits tells 64 apart: split it into programs that call each "
        "other, or learn it with npi learn into a universal core",
    ]
    assert npi(capsys, "learn", file, "--library", tmp_path / "rows", "--traces", 1)[0] == 0
    assert npi(capsys, "run", "flat", "1,0", "--library", tmp_path / "rows", "--quiet")[1] == "len(OUT) = 300\n"


def test_eval_leaves_problems_out_where_texts_do_not_end(tmp_path, capsys, monkeypatch) -> None:
    """A counter that grows for ever is no loop that can be proved: two runs of twenty are waited for, not all."""
    monkeypatch.setattr("npi.running.evaluate.LEFT_OUT", 200)
    body = """
program COUNT "Add one for ever":
    while DATA == 0 or DATA == 1 or DATA == blank:
        ADD

program ADD "Add one":
    if DATA == 1:
        ACT(DATA, WRITE, 0)
        ACT(DATA, RIGHT)
    else:
        ACT(DATA, WRITE, 1)
        HOME

program HOME "Go back":
    while DATA:
        ACT(DATA, LEFT)
    ACT(DATA, RIGHT)
"""
    monkeypatch.setattr("traces.machine.stopped.FREE_CELLS", 1)
    assert FREE_CELLS > 1
    (tmp_path / "count.npi").write_text(AWAY + body + TASK.format(name="go", program="COUNT"))
    words = ["eval", "--teacher", tmp_path / "count.npi", "--count", 20]
    rows = document(capsys, *words, code=1)
    assert [row["count"] for row in rows] == [1, 1]
    assert "count.COUNT" in rows[0]["stop"]
    assert ", line 19)" in rows[0]["stop"]
    assert "with --steps N" in rows[0]["stop"]
    assert [row["steps"] for row in document(capsys, *words, "--steps", 50, code=1)] == [50, 50]
