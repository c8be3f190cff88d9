"""Runs that never end: proved soon, told with program and line; and runs that only look as if they did."""

import pytest
import torch

import dsl
from dsl.program import ProgramSet
from envs.scratchpad.world import PadState
from tests.support.paths import PROGRAMS
from traces.generation.generate import TeacherError, record_problems
from traces.machine import compiled
from traces.machine.lockstep import Budget, Outcome, Status, run
from traces.machine.stopped import Stop, by_size, why_stopped

pytestmark = pytest.mark.skipif(not compiled.available(), reason="numba is not installed")

WORLD = """world pad is scratchpad:
    row DATA, OUT of 0..2 or blank at left
    row ROW of 0..2 or blank
    row A of 0..2
    pointer IN on ROW at left
    pointer FAR on ROW at right
    pointer P, Q on A at left
    order P, Q
    order DATA, OUT
"""

TASK = """
task go(items: list of 0..2):
    ROW = items
    DATA = items
    A = items
    run MAIN
    expect len(A) == len(items)
    train items of 1..4
"""


def programs_of(body: str, more: str = "", world: str = WORLD) -> ProgramSet:
    """A file whose MAIN, in the lines from 13 on, has this body; ``|`` ends a line."""
    lines = body.replace("|", "\n    ")
    return dsl.loads(f'{world}\n\nprogram MAIN "Go":\n    {lines}\n{more}\n{TASK}', path="file.npi")


def ran(programs: ProgramSet, items: str, budget: Budget | None = None) -> Outcome[PadState]:
    problem = programs.task("go").parse([items])
    return run(
        dsl.compile_teacher(programs), programs.world, programs.world.reset([problem.layout]), programs.table,
        torch.tensor([problem.program]), torch.tensor([list(problem.arguments)]),
        budget=by_size(programs, [problem], budget),
    )  # fmt: skip


STEP = """
program STEP(way: LEFT or RIGHT) "One step":
    if IN == 2 or IN != 2:
        ACT(IN, way)
    ACT(OUT, RIGHT)
"""

ENDLESS = {
    "one pointer runs away": ("while IN != 2:|    ACT(IN, RIGHT)|ACT(IN, LEFT)", 13),
    "to the left": ("ACT(IN, RIGHT)|while IN == blank or IN:|    ACT(IN, LEFT)", 14),
    "and leaves a trail": ("while OUT == blank:|    ACT(OUT, WRITE, 1)|    ACT(OUT, RIGHT)|    ACT(IN, RIGHT)", 13),
    "two pointers, opposite ways": ("while IN != 2:|    STEP(LEFT)", 13),
    "nothing moves": ("while IN:|    ACT(OUT, WRITE, 1)", 13),
    "writing and erasing": ("while IN:|    ACT(OUT, WRITE, 1)|    ACT(OUT, WRITE, blank)", 13),
    "at the end of a list": ("while not first(P) or first(P):|    ACT(P, RIGHT)", 13),
    "swapping for ever": ("ACT(P, RIGHT)|while not first(P):|    ACT(P, SWAP, Q)", 14),
    "a loop in a loop": ("while IN:|    ACT(P, RIGHT)|    while OUT == blank:|        ACT(OUT, RIGHT)", 15),
    "the outer of two": ("while IN != 2:|    ACT(OUT, WRITE, 1)|    while OUT:|        ACT(OUT, LEFT)", 13),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_run_that_never_ends_is_proved_soon_and_its_loop_is_named(case: str) -> None:
    """A wrong line fails, and so does a proof that comes late, or after rows have grown."""
    body, line = ENDLESS[case]
    programs = programs_of(body, STEP)
    outcome = ran(programs, "1,0,1")
    assert outcome.status_N.tolist() == [Status.ENDLESS]
    assert int(outcome.steps_N) < 4 * compiled.FIRST_MARK
    assert outcome.state.width < 8 * compiled.FIRST_MARK
    stop = why_stopped(programs, dsl.compile_teacher(programs), outcome)
    assert stop == Stop(Status.ENDLESS, int(outcome.steps_N), ("file.MAIN",), f"file.npi, line {line}")
    assert "never ends: its loop (file.npi, line" in str(stop)


HELP = """
program HELP "Out and back":
    ACT(OUT, RIGHT)
    ACT(OUT, LEFT)
    ACT(OUT, RIGHT)
"""

MANY = ",".join("1" * 60)

ENDING = {
    "a symbol ahead": ("while DATA == 1:|    ACT(DATA, RIGHT)", f"{MANY},0"),
    "a symbol behind": (
        "while IN:|    ACT(IN, RIGHT)|ACT(IN, LEFT)|while IN == 1:|    ACT(IN, LEFT)", f"0,{MANY}"
    ),
    "the end of what is written": ("while DATA:|    ACT(DATA, RIGHT)", MANY),
    "the end of a list": ("while not last(P):|    ACT(P, RIGHT)", MANY.replace("1", "0")),
    "a pointer that is compared": (
        "while DATA:|    ACT(DATA, RIGHT)|while before(OUT, DATA):|    ACT(OUT, RIGHT)", MANY
    ),
    "another pointer's blinking": (
        "while IN:|    ACT(IN, RIGHT)|while not last(P):|    ACT(P, RIGHT)|    ACT(FAR, RIGHT)|"
        "while IN != 2:|    ACT(FAR, WRITE, 2)|    if IN != 2:|        ACT(FAR, WRITE, blank)|        ACT(IN, RIGHT)",
        MANY,
    ),
    "a caller that comes to its end": ("|".join(["HELP"] * 40), "1"),
    "a mark that is copied along": ("while IN:|    ACT(IN, WRITE, blank)|    ACT(IN, RIGHT)", MANY),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDING)
@pytest.mark.parametrize("mark", [1, 2, 3, 5, 8, 13, 21, 34])
def test_a_run_that_ends_is_never_proved_endless(case: str, mark: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks for a while as if it went on for ever, and differs in one thing that a proof must look at."""
    monkeypatch.setattr(compiled, "FIRST_MARK", mark)
    body, items = ENDING[case]
    outcome = ran(programs_of(body, HELP), items)
    assert outcome.status_N.tolist() == [Status.DONE]
    assert int(outcome.steps_N) > mark


COUNTING = """
program STEP "Add one to the binary number":
    if IN == 1:
        ACT(IN, WRITE, 0)
        ACT(IN, LEFT)
    else:
        ACT(IN, WRITE, 1)
        BACK

program BACK "Go to the right end":
    while IN:
        ACT(IN, RIGHT)
    ACT(IN, LEFT)
"""


def test_what_cannot_be_proved_is_stopped_after_steps_by_the_size_of_text_and_input() -> None:
    programs = programs_of("while IN != 2:|    STEP", COUNTING)
    budget = by_size(programs, [programs.task("go").parse(["1,0"])])
    assert budget.steps is not None
    outcome = ran(programs, "1,0", Budget(steps=5000))
    assert (outcome.status_N.tolist(), outcome.steps_N.tolist()) == ([Status.STEPS], [5000])
    stop = why_stopped(programs, dsl.compile_teacher(programs), outcome)
    assert str(stop) == (
        "still running after 5,000 steps, in a loop of file.MAIN (file.npi, line 13); correct the loop, or allow more "
        "with --steps N"
    )
    nodes = sum(len(p.table.nodes) for p in programs.programs if p.table)
    assert budget.steps == (nodes + 100) * (6 + 200) ** 2  # three rows of two cells
    assert by_size(programs, [programs.task("go").parse([MANY])]).most_steps > 2 * budget.steps
    assert by_size(programs, [], Budget(steps=7)) == Budget(steps=7)


@pytest.mark.parametrize(
    ("file", "task", "size", "spare"),
    [
        ("bubblesort", "sort", 120, 10), ("examples/multiply", "multiply", 60, 10), ("examples/hanoi", "hanoi", 14, 10),
        ("recursive/addition", "add", 1000, 1000), ("examples/divide", "divide", 40, 100),
    ],
)  # fmt: skip
def test_long_programs_have_steps_to_spare(file: str, task: str, size: int, spare: int) -> None:
    programs = dsl.load(PROGRAMS / f"{file}.npi")
    (problem,) = programs.task(task).draw(size, 1, generator=torch.Generator().manual_seed(0), spread=False)
    budget = by_size(programs, [problem])
    outcome = run(
        dsl.compile_teacher(programs), programs.world, programs.world.reset([problem.layout]), programs.table,
        torch.tensor([problem.program]), torch.tensor([list(problem.arguments)]), budget=budget,
    )  # fmt: skip
    assert outcome.status_N.tolist() == [Status.DONE]
    assert spare * int(outcome.steps_N) < budget.most_steps


EVEN = """
program EVEN "Half of the way down":
    ODD

program ODD "The other half":
    EVEN
"""


@pytest.mark.parametrize("lockstep", [False, True])
def test_the_depth_that_was_reached_is_told_with_who_calls_whom(lockstep: bool, monkeypatch) -> None:
    if lockstep:
        monkeypatch.setattr(compiled, "applies", lambda *_: False)
    programs = programs_of("EVEN", EVEN)
    outcome = ran(programs, "1", Budget(depth=100))
    assert outcome.status_N.tolist() == [Status.DEPTH]
    stop = why_stopped(programs, dsl.compile_teacher(programs), outcome, Budget(depth=100))
    assert stop is not None
    assert (stop.status, stop.amount, set(stop.programs)) == (Status.DEPTH, 100, {"file.EVEN", "file.ODD"})
    assert "call each other; end the recursion, or allow more with --depth N" in str(stop)
    full = why_stopped(programs, dsl.compile_teacher(programs), outcome, Budget(depth=10_000))
    assert "run fewer problems at once" in str(full)


def test_a_loop_is_named_where_the_machine_runs_in_lockstep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "applies", lambda *_: False)
    programs = programs_of("STEP(LEFT)|while IN != 2:|    STEP(RIGHT)", STEP)
    outcome = ran(programs, "1", Budget(steps=300))
    assert outcome.status_N.tolist() == [Status.STEPS]
    stop = why_stopped(programs, dsl.compile_teacher(programs), outcome)
    assert stop == Stop(Status.STEPS, 300, ("file.MAIN",), "file.npi, line 14")


def test_recording_stops_with_the_first_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others of the batch do not run on, whose steps would be kept for nothing."""
    programs = programs_of("while IN != 2:|    STEP", COUNTING)
    task, kept = programs.task("go"), []
    watched = compiled.RowWatcher
    problems = [task.parse([items]) for items in ("2", "1,0", "1,1", "0")]
    monkeypatch.setattr(
        "traces.recording.recorder.Recorder.rows", lambda self, instance_K, *rest: kept.append(instance_K), raising=True
    )
    assert watched is compiled.RowWatcher
    with pytest.raises(TeacherError, match=r"task go of items = \[1, 0\]: still running after 3,000 steps"):
        record_problems(programs, task, problems, budget=Budget(steps=3000))
    assert sum(map(len, kept)) == 3001  # the first returns at once
