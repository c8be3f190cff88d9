"""The program that tunes by two learned tools: with scripted tools and with those that come with the engine, each
against plain Python; and a search that is asked in runs of one question each."""

import json
from pathlib import Path

import pytest
import torch

from dsl import load
from dsl.program import ProgramSet
from dsl.tasks.task import Problem
from dsl.teacher import shown_by
from envs.black_box.ask_tell import QUERY, TELL, AskTell
from envs.spec import RETURN, SLOTS
from envs.stepper import Action, Decision, Draw, Observation
from meta.black_box.ask_tell import SHIPPED as SEARCHER
from meta.black_box.network import BlackBoxConfig, BlackBoxCore
from meta.optimisation.torch_optimizer import SHIPPED as OPTIMISER
from npi.cli.main import main
from npi.cli.run_view import Replay, calls_of
from npi.learners.interface import TaskInput
from npi.learners.learn_rows import learn_rows, take_row
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.operations import hosting
from npi.running.evaluate import run_problems
from npi.running.run_page import takes_of
from npi.running.runs import run_once
from tests.support.paths import PROGRAMS
from traces.machine.lockstep import Status

TOOLS = PROGRAMS / "tools"

SMALL = {
    "steps: 30)": "steps: 6)", "over 30 steps": "over 2 steps", "STEP == [30]": "STEP == [2]", "!= 30": "!= 6",
    "== 30": "== 6", "WAITED of 0..5": "WAITED of 0..3", "!= 5": "!= 3", "< 5": "< 3", "== 5": "== 3",
    "examples: 50, validation: 300": "examples: 5, validation: 9",
}  # fmt: skip
"""The program with fewer trials, of shorter training."""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name in ("suggest", "optimise", "tune"):
        text = (TOOLS / f"{name}.npi").read_text()
        for old, new in SMALL.items():
            text = text.replace(old, new)
        (tmp_path / f"{name}.npi").write_text(text)
    return tmp_path


class Scripted:
    """SUGGEST asks at a corner or at the middle, as its number of results says; OPTIMISE goes nowhere in one step."""

    width, dtype = 1, torch.float32

    def __init__(self, programs: ProgramSet) -> None:
        spec, table = programs.world.spec, programs.table
        self.suggest, self.column = table.id("suggest.SUGGEST"), spec.field("QUERIES")
        self.calls = [[p.name for p in spec.primitives].index(name) for name in ("QUERY", "UPDATE")]
        self.payload = spec.payload_width

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        asks_B, begins_B = program_B == self.suggest, hidden_BH[:, 0] == 0
        call_B4 = torch.zeros(len(program_B), 1 + SLOTS, dtype=torch.int64)
        call_B4[:, 0] = torch.where(begins_B, torch.where(asks_B, *self.calls), RETURN)
        payload_BX = torch.zeros(len(program_B), self.payload)
        payload_BX[:, :2] = (seen.fields_BF[:, self.column, None] % 3 / 2) * asks_B[:, None]
        return Decision(Action(call_B4, payload_BX), hidden_BH + 1)


def drawn(programs: ProgramSet, count: int) -> list[Problem]:
    return programs.task("unseen").draw(9, count, generator=torch.Generator().manual_seed(2), spread=False)


def checked(programs: ProgramSet, problems: list[Problem]) -> list[dict[str, list[int]]]:
    """Readings of runs, each of which did what the text says by what was told."""
    task = programs.task("unseen")
    outcome = run_problems(shown_by(programs), programs, problems)
    assert outcome.status_N.tolist() == [Status.DONE] * len(problems)
    readings = outcome.read(programs.world)
    spec = programs.world.spec
    rate, width = (spec.fields[spec.field(name)].values for name in ("BEST_RATE", "BEST_WIDTH"))
    for problem, reading in zip(problems, readings, strict=True):
        best, waited = None, 0
        for number, value in enumerate(reading["TOLD"]):
            assert waited < 3, "it went on where nothing improved"
            best, waited = (value, 0) if best is None or value < best else (best, waited + 1)
            assert number < 6
        assert waited == 3 or len(reading["TOLD"]) == 6
        assert reading["BEST_LOSS"] == [best]
        assert rate[reading["BEST_RATE"][0]].isdigit()
        assert width[reading["BEST_WIDTH"][0]].isdigit()
        assert task.judge(problem, reading)
        assert not task.judge(problem, {**reading, "BEST_LOSS": [best - 1 if best else 1]})
    return readings


def test_the_best_is_kept_and_it_stops_where_nothing_improves_whatever_the_tools_say(small: Path) -> None:
    programs = load(small / "tune.npi")
    readings = checked(programs.hosting(Scripted(programs)), drawn(programs, 5))
    assert len({tuple(reading["TOLD"]) for reading in readings}) > 1


def test_a_run_is_drawn_again_with_what_was_given_beside_its_calls(small: Path) -> None:
    """Red where the calls alone are carried out again: its questions and its networks would be others."""
    programs = load(small / "tune.npi")
    hosted = programs.hosting(Scripted(programs))
    (problem,) = drawn(hosted, 1)
    run = run_once(shown_by(hosted), hosted, hosted.task("unseen"), problem)
    replay = Replay(hosted, problem)
    for event in calls_of(run):
        replay.act(event)
    assert replay.world.read(replay.state) == [run.reading]
    lines = replay.draw()
    assert lines[0].startswith(f"query {len(run.reading['TOLD'])}: {run.reading['TOLD'][-1]}; best ")
    assert any(line.startswith("BEST_LOSS") for line in lines)
    (take,), notes = takes_of(run)
    assert notes == []
    assert take.states is not None


def tools(folder: Path) -> list[Library]:
    found = []
    for shipped, row, name in ((SEARCHER, "plain.SEARCH", "suggest"), (OPTIMISER, "mlp.OPTIMISE", "optimise")):
        library = Library.open(shipped)
        result = take_row(library, [load(folder / f"{name}.npi")], row)
        assert result.unchanged
        assert result.rows == (f"{name}.{name.upper()}",)
        index = library.memory.index(row)
        assert torch.equal(library.memory.embeddings_NP[-1], library.memory.embeddings_NP[index])
        found.append(library)
    return found


def test_the_tools_that_come_with_the_engine_tune_by_rows_as_they_are(small: Path) -> None:
    """And say in a batch what each says alone."""
    programs = hosting(load(small / "tune.npi"), tools(small))
    problems = drawn(programs, 3)
    readings = checked(programs, problems)
    assert any(min(reading["TOLD"]) < reading["TOLD"][0] for reading in readings)
    (alone,) = checked(programs, problems[:1])
    assert alone == readings[0]


def test_the_command_line_takes_a_row_as_it_is(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["learn", str(small / "suggest.npi"), "--library", str(SEARCHER), "--row", "gp3.SEARCH"]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["updates"]) == (["suggest.SUGGEST"], 0)
    library = Library.open(tmp_path / "out")
    row_NP, index = library.memory.embeddings_NP, library.memory.index
    assert torch.equal(row_NP[index("suggest.SUGGEST")], row_NP[index("gp3.SEARCH")])
    assert library.history[-1]["row"] == "gp3.SEARCH"
    assert library.history[-1]["taken"] == ["suggest.SUGGEST"]
    assert main([*words, "--updates", "3"]) == 2


@pytest.mark.parametrize("attention", [0, 2])
@torch.no_grad()
def test_asked_one_question_a_run_a_core_asks_as_it_does_in_one_run(attention: int) -> None:
    """Red where a line of the history is left out, or the last result counts twice. Searches are of other lengths."""
    core = BlackBoxCore(BlackBoxConfig(units=4, row=3, attention=attention), generator=torch.Generator().manual_seed(0))
    world = AskTell("w", {"dimensions": 2, "levels": 9, "values": 50, "steps": 12})
    row_BP, none_B3 = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(3, 3).long()
    task = TaskInput(world.spec, 0, row_BP, none_B3)
    state, hidden_BH = world.begin(torch.arange(3)), torch.zeros(3, core.hidden_size(world.spec))
    for step in range(8):
        seen, live_B = world.observe(state), torch.tensor([True, step % 2 == 0, step < 5])
        whole = core.step(task, seen, hidden_BH)
        fresh = core.step(task, seen, core.begin(task, seen))
        torch.testing.assert_close(fresh.action.payload_BX[live_B], whole.action.payload_BX[live_B])  # type: ignore[index]
        hidden_BH = torch.where(live_B[:, None], whole.hidden_BH, hidden_BH)
        call_B4 = torch.tensor([[QUERY, 0, 0, 0]] * 3)
        world.act(state, Action(call_B4, whole.action.payload_BX), live_B)
        value_B = ((state.place_BD - torch.tensor([2, 6])).square().sum(1) % 50).long()
        world.act(state, Action(torch.stack([torch.full((3,), TELL), 1 + value_B, *[0 * value_B] * 2], 1)), live_B)
    assert state.step_B.tolist() == [8, 4, 5]


def test_a_row_that_is_not_there_is_told_and_searches_that_are_told_are_not_learned(small: Path) -> None:
    library = Library.open(SEARCHER)
    suggest = load(small / "suggest.npi")
    with pytest.raises(LibraryError, match=r"no row 'plain\.SERCH'; did you mean 'plain\.SEARCH'"):
        take_row(library, [suggest], "plain.SERCH")
    with pytest.raises(ValueError, match="take a row of a searcher as it is: npi learn FILE"):
        learn_rows(library, [suggest])
    assert all(info.name != "suggest.SUGGEST" for info in library.memory.infos)
    take_row(library, [suggest], "plain.SEARCH")
    with pytest.raises(LibraryError, match="has all of these programs already"):
        take_row(library, [suggest], "plain.SEARCH")
