"""Rows from traces alone: states that are inferred, rows followed through frames, and what is told when it fails."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from benchmarks.universal.random_frames import drawn_frames
from dsl.program import ProgramSet
from envs.spec import RETURN, UNKNOWN
from npi.cli.main import main
from npi.jobs.train import learn_into
from npi.library.library import Library, LibraryError
from npi.running.evaluate import solve
from npi.training.dataset import Dataset
from npi.universal.code_search import SearchConfig
from npi.universal.core import new_universal
from npi.universal.induction.plan_from_traces import plan_of_frames
from npi.universal.induction.replay import Evidence, replay
from npi.universal.learn_rows import learn_universal
from npi.universal.plan import Plan, describe, plan_of
from npi.universal.proof import Comparison
from tests.support.paths import PROGRAMS
from tests.support.random_programs import WORLDS, drawn, together
from tests.support.universal_helpers import SMALL, tables
from traces.generation.generate import record_traces
from traces.recording.unique_frames import FrameSet
from traces.storage.trace_set import TraceInfo, TraceSetWriter

FILES = ("addition", "bubblesort", "max", "examples/compare", "examples/insertionsort", "examples/brackets")

PAD = """
world pad is scratchpad:
    row A of 0..3
    pointer P, Q on A at left
    row OUT of 0..3

"""


def of_text(text: str) -> tuple[ProgramSet, int]:
    """The program BOTH of a text over the pad, and its id."""
    programs = dsl.loads(PAD + text)
    return programs, programs.table.id("text.BOTH")


def frames_of(programs: ProgramSet, program: int, count: int, seed: int = 0) -> FrameSet:
    return drawn_frames(programs, program, count, generator=torch.Generator().manual_seed(seed))


def followed(plan: Plan, programs: ProgramSet, frames: FrameSet) -> Comparison:
    return replay(tables(plan, programs), frames, plan.signature)


def lines(plan: Plan, programs: ProgramSet) -> list[str]:
    return sorted(describe(plan, programs.table).splitlines())


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_states_are_those_of_the_text(name: str) -> None:
    """From eight traces of each size; LSHIFT of addition has five states, ``while c: A; B`` two."""
    programs = dsl.load(PROGRAMS / f"{name}.npi")
    dataset = Dataset.from_programs(programs, traces=8, seed=0)
    for program in programs.programs:
        found = plan_of_frames(dataset.frames, program.id)
        assert lines(found, programs) == lines(plan_of(program, programs.table), programs), program.name


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["list", "mixed", "places", "words", "sorting"]), st.integers(0, 35), st.sampled_from([1, 5, 40])
)
def test_a_plan_explains_the_frames_that_it_was_made_from(world: str, number: int, count: int) -> None:
    one = drawn(world, each=3)[number]
    programs, (program,) = together(world, [one])
    frames = frames_of(programs, program, count)
    try:
        plan = plan_of_frames(frames, program)
    except ValueError as error:
        if "no few states tell which" in str(error):
            return
        raise
    assert followed(plan, programs, frames).holds


@pytest.mark.parametrize(
    "worlds",
    [("list", "places", "words", "addition"), pytest.param(tuple(WORLDS), marks=pytest.mark.thorough)],
    ids=["small", "all"],
)
def test_plans_of_many_frames_decide_as_the_text(worlds: tuple[str, ...]) -> None:
    """Of programs that were drawn: a row that knows what such a plan knows is hardly ever wrong in new frames."""
    right = []
    for world in worlds:
        programs, ids = together(world, drawn(world, each=1))
        for program in ids:
            try:
                plan = plan_of_frames(frames_of(programs, program, 256), program)
            except ValueError:
                right.append(False)
                continue
            found = tables(plan, programs)
            seen = replay(found, frames_of(programs, program, 100, seed=1), plan.signature)
            right.append(all(mistake.calls.startswith(f"?{UNKNOWN}") for mistake in seen.mistakes))
    assert sum(right) >= 0.9 * len(right)


def test_what_was_seen_before_a_call_is_remembered() -> None:
    programs, both = of_text(
        'program BOTH "Two branches that begin alike":\n'
        "    if P > Q:\n        ACT(OUT, LEFT)\n        ACT(P, LEFT)\n"
        "    else:\n        ACT(OUT, LEFT)\n        ACT(Q, LEFT)\n"
    )
    plan = plan_of_frames(frames_of(programs, both, 200), both)
    assert lines(plan, programs) == lines(plan_of(programs.program(both), programs.table), programs)
    assert [len(state.inputs) for state in plan.states] == [2, 0, 0, 0]


def test_a_loop_that_never_went_round_is_none() -> None:
    """After the swap P > Q is never seen again, which one state for both places would explain as well."""
    programs = dsl.load(PROGRAMS / "bubblesort.npi")
    dataset = Dataset.from_programs(programs, traces=4, seed=0)
    plan = plan_of_frames(dataset.frames, programs.table.id("bubblesort.COMPSWAP"))
    assert len(plan.states) == 2
    assert plan.states[1].inputs == ()


def test_what_is_copied_is_not_looked_at() -> None:
    programs, both = of_text(
        'program BOTH(d: direction) "Copies a cell and a direction":\n    ACT(OUT, WRITE, P)\n    ACT(P, d)\n'
    )
    plan = plan_of_frames(frames_of(programs, both, 20), both)
    assert describe(plan, programs.table).splitlines() == [
        "state 0 looks at nothing", "    ACT(OUT, WRITE, [P]), then state 1",
        "state 1 looks at nothing", "    ACT(P, [d], -), then state 2", "state 2 looks at nothing", "    return",
    ]  # fmt: skip


def test_what_no_few_states_explain_is_told() -> None:
    """P is remembered over five calls."""
    same = "        ACT(OUT, LEFT)\n" * 5
    programs, both = of_text(
        f'program BOTH "Far":\n    if P == 0:\n{same}        ACT(P, LEFT)\n    else:\n{same}        ACT(Q, LEFT)\n'
    )
    frames = frames_of(programs, both, 3000)
    with pytest.raises(ValueError, match=r"after ACT\(OUT, LEFT\), seeing P = .* no few states tell which"):
        plan_of_frames(frames, both)
    with pytest.raises(ValueError, match="give traces of a task that runs it"):
        plan_of_frames(frames, 0)


# --- rows ------------------------------------------------------------------------------------------------------------


def written(folder: Path, name: str, task: str, *, traces: int, digest: str = "0" * 64) -> Path:
    """A trace set that does not carry its program file."""
    programs = dsl.load(PROGRAMS / f"{name}.npi")
    sizes = dict.fromkeys(programs.task(task).train_sizes, traces)
    batch = record_traces(programs, task=task, traces=sizes, seed=0)
    writer = TraceSetWriter(folder, programs.table, TraceInfo(program_digest=digest, task=task))
    writer.finish([writer.write(0, batch)])
    return folder


def test_a_trace_set_without_a_text_becomes_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows then run the tasks of the file that the traces came from, far beyond their sizes."""
    folder, library = written(tmp_path / "traces", "max", "max", traces=4), tmp_path / "library"
    assert main(["learn", str(folder), "--library", str(library)]) == 0
    told = capsys.readouterr().out
    assert "passed (frames of the traces)" in told
    assert re.search(r"inferred +MAX: 3 states, looking at nothing; right in all \d+ different frames, ", told)
    assert re.search(r"inferred +COMPSWAP: 2 states, looking at P1, P2; .*, \d+ of them held back", told)
    assert "not proved  without a text, nothing is known of configurations that no frame shows" in told
    found = Library.open(library)
    programs = dsl.load(PROGRAMS / "max.npi")
    task = programs.task("max")
    problems = task.draw(40, 4, generator=torch.Generator().manual_seed(0), spread=True)
    assert solve(found.stepper(programs.table), programs, task, problems).count == 4
    assert found.history[-1]["settings"]["from_traces"] is False


def test_traces_of_several_tasks_and_of_no_source_are_learned_together(tmp_path: Path) -> None:
    """One folder shows ADD, the other RSHIFT, which the first names without showing it; a third is of another table."""
    folders = [
        written(tmp_path / "add", "addition", "add", traces=8, digest=""),
        written(tmp_path / "rshift", "addition", "rshift", traces=8, digest=""),
        written(tmp_path / "copy", "examples/copy", "copy", traces=4, digest=""),
    ]
    with pytest.raises(LibraryError, match=r"RSHIFT cannot .*: no trace shows it; give traces of a task that runs it"):
        learn_into(tmp_path / "one", folders[:1], device="cpu")
    found = learn_into(tmp_path / "all", folders, device="cpu", keep_unsolved=True)
    names = {one.name: one for one in found.inferred}
    assert {"addition.ADD1", "addition.RSHIFT", "copy.COPY"} <= set(names) == set(found.rows)
    assert names["addition.ADD1"].looks == (("IN1", "IN2", "CARRY"), ("IN1", "IN2", "CARRY"), ())
    assert names["addition.RSHIFT"].looks == ((),) * 5
    assert all(one.proved is None for one in found.inferred)


def test_one_frame_in_ten_is_held_back() -> None:
    """Of 7 different frames that occur 30 times each none is lost; of 70 that occur once 7 are."""
    programs, both = of_text('program BOTH "There and back":\n    ACT(P, RIGHT)\n    ACT(P, LEFT)\n')
    frames = frames_of(programs, both, 70)
    once = Evidence.of(frames, generator=torch.Generator().manual_seed(0))
    assert (once.held, len(once.known), len(once.frames)) == (7, 63, 70)
    seven = frames.select(torch.arange(7))
    often = Evidence.of(replace(seven, count_M=torch.full((7,), 30)), generator=torch.Generator().manual_seed(0))
    assert (often.held, len(often.known)) == (0, 7)
    assert Evidence.of(seven, generator=torch.Generator().manual_seed(0)).held == 0


def test_a_library_of_traces_alone_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, library = written(tmp_path / "traces", "examples/copy", "copy", traces=4), str(tmp_path / "library")
    assert main(["learn", str(folder), "--library", library, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["inferred"]
    assert [one["name"] for one in told] == ["copy.COPY", "copy.COPY1", "copy.RSHIFT"]
    assert told[0]["looks"] == [["IN"], []]
    assert told[0]["wrong"] == 0 < told[0]["held"] < told[0]["frames"]
    assert main(["show", library]) == 0
    assert "its programs come from traces, which have no task for npi run" in capsys.readouterr().out
    assert main(["library", "info", library, "COPY"]) == 0
    assert re.search(r"calls +unknown", capsys.readouterr().out)


def test_a_text_only_checks_rows_from_traces(tmp_path: Path) -> None:
    found = learn_into(tmp_path / "one", [PROGRAMS / "max.npi"], traces=8, device="cpu", from_traces=True)
    assert found.solved
    assert found.validation.problems > 5000  # frames, problems of the task, and a proof of each row
    assert Library.open(tmp_path / "one").history[-1]["settings"]["from_traces"] is True


def test_thin_evidence_is_told_and_nothing_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One trace of each size shows some pairs of digits; that is right in every frame, and does not prove the row."""
    words = ["learn", str(PROGRAMS / "addition.npi"), "--from-traces", "--traces", "1", "--library"]
    assert main([*words, str(tmp_path / "one")]) == 1
    told = capsys.readouterr().out
    assert "addition.ADD1 is wrong in " in told
    assert "state 0 sees IN1 = " in told
    assert " is right" in told
    assert "configurations of what it reads, so give more traces" in told
    assert not (tmp_path / "one").exists()


def test_a_core_of_chance_is_told_where_it_is_wrong_in_frames() -> None:
    """Without a text: the frames that it was not learned from, and those that it was, are what counts."""
    programs = dsl.load(PROGRAMS / "addition.npi")
    whole = Dataset.from_programs(programs, traces=2, seed=0)
    dataset = Dataset(whole.table, whole.frames, None, "traces", "0" * 64, whole.traces)
    library = new_universal(SMALL, seed=0)
    found = learn_universal(library, [dataset], SearchConfig(updates=10, rounds=1, starts=1))
    assert not found.solved
    assert len(library.memory) == 0
    assert any("addition.ADD1 is wrong in" in note and "frames:" in note for note in found.notes)
    assert any(note.startswith("  state 0 sees IN1 = ") and "is right" in note for note in found.notes)


def test_a_replay_names_the_first_wrong_decision() -> None:
    programs, both = of_text('program BOTH "There and back":\n    ACT(P, RIGHT)\n    ACT(P, LEFT)\n')
    frames = frames_of(programs, both, 5)
    plan = plan_of_frames(frames, both)
    made = tables(plan, programs)
    assert replay(made, frames, plan.signature) == Comparison(5, 0)
    made[1][2][0, 0] = RETURN
    found = replay(made, frames, plan.signature)
    assert (found.cases, found.wrong) == (5, 5)
    (mistake,) = found.mistakes
    assert (mistake.state, mistake.seen) == (1, "nothing seen")
    assert (mistake.calls, mistake.should) == ("return", "ACT(P, LEFT)")
