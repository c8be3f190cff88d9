"""A learned program's row swapped for another one of its core: the program runs on, its tool does something else."""

import copy
from pathlib import Path

import pytest
import torch

import npi
from dsl.program import ProgramSet
from dsl.teacher import shown_by
from envs.stepper import Stepper
from npi.core.base import Core
from npi.learners import interface as registry
from npi.learners.evaluate import score_task
from npi.learners.interface import register_learner
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.library.collection import combined
from npi.library.library import Library, LibraryError
from npi.library.operations import hosting
from npi.library.stand_ins import neighbours, standing_in
from npi.running.evaluate import run_problems
from tests.support.learned_tools import arms, callers, desk, players
from tests.support.operation_helpers import grown
from tests.support.tape_programs import contents, document
from tests.support.tape_programs import npi as command
from tests.support.tiny_learner import LEARNER


@pytest.fixture(autouse=True)
def learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_learner(LEARNER)


def after(stepper: Stepper, programs: ProgramSet) -> list[dict[str, list[int]]]:
    """What the world holds behind runs of both."""
    task = programs.task("both")
    problems = task.draw(8, 12, generator=torch.Generator().manual_seed(1), spread=False)
    return run_problems(stepper, programs, problems, seed=3).read(programs.world)


def text(program: str, host: Library) -> list[dict[str, list[int]]]:
    """The same by the text of a file that calls a program itself."""
    programs = hosting(desk(program), [host])
    return after(shown_by(programs), programs)


def test_the_program_runs_with_the_other_row() -> None:
    """Second way: the text of a program that calls the other one; and nothing is changed in the library."""
    library, table = callers(), desk("DRAW").table
    rows, hosted = library.rows_digest(), library.hosts[0].rows_digest()
    swapped = standing_in(library, {"DRAW": "arms.OTHER"})
    own, other = text("DRAW", players()), text("OTHER", players())
    assert own != other
    assert after(library.stepper(table), desk("DRAW")) == own
    assert after(swapped.stepper(table), desk("DRAW")) == other
    assert after(library.stepper(table), desk("DRAW")) == own
    assert (library.rows_digest(), library.hosts[0].rows_digest()) == (rows, hosted)
    assert swapped.memory is library.memory
    back = standing_in(swapped, {"arms.DRAW": "DRAW"})
    assert after(back.stepper(table), desk("DRAW")) == other  # the row of that name in the library that is given


def test_the_row_may_be_of_a_member_with_the_hosts_core(tmp_path: Path) -> None:
    """The members' core learned another program since; the caller's host does not have it."""
    place, more = tmp_path / "tools", players()
    (tmp_path / "third.npi").write_text(arms("THIRD"))
    found = npi.learn(more, [tmp_path / "third.npi"], settings=OnPolicyTraining(updates=1, batch=8, starts=1))
    assert found.rows == ("third.THIRD",)
    combined([callers(), more]).save(place)
    before = contents(place)
    library = Library.open(place, task="desk.both")
    with pytest.raises(LibraryError, match=r"no program third.THIRD; its core has arms.DRAW, arms.OTHER"):
        standing_in(library, {"DRAW": "third.THIRD"})
    (beside,) = neighbours(place, library)
    assert beside.core.digest() == more.core.digest()
    swapped = standing_in(library, {"DRAW": "THIRD"}, beside=[beside])
    host = swapped.hosts[0].memory
    third = more.memory.embeddings_NP[more.memory.index("third.THIRD")]
    assert torch.equal(host.embeddings_NP[host.index("arms.DRAW")], third)
    for row in ("arms.OTHER", "third.THIRD"):
        run = npi.run("desk.both", {"episode": 4}, library=place, rows={"DRAW": row})
        same = npi.run("desk.both", {"episode": 4}, library=standing_in(library, {"DRAW": row}, beside=[beside]))
        assert run.events == same.events
    assert contents(place) == before


def test_a_learners_own_task_runs_by_another_row() -> None:
    """Second way: the scores of the other program's task, whose problems are those of the same seed."""
    library = players()
    swapped = standing_in(library, {"DRAW": "OTHER"})
    one, two = swapped.memory.embeddings_NP
    assert torch.equal(one, two)
    assert not torch.equal(*library.memory.embeddings_NP)
    (programs, task) = swapped.task("arms.draw")
    score = score_task(swapped, programs, task, count=200)
    assert score.scores != score_task(library, programs, task, count=200).scores
    (again,) = npi.evaluate(["arms.draw"], library=library, count=200, rows={"DRAW": "OTHER"})
    assert again.scores == score.scores


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"NOTE": "arms.OTHER"}, r"desk.NOTE has a body, .* can stand in .*learning signal: arms.DRAW, arms.OTHER"),
        ({"DRWA": "arms.OTHER"}, r"has no program DRWA; did you mean DRAW"),
        ({"DRAW": "desk.NOTE"}, r"has no program desk.NOTE"),
        ({"DRAW": "wide.WIDE"}, r"wide.WIDE cannot stand in for arms.DRAW: .* world arms \(bandit\), which has other"),
        ({"DRAW": "given.GIVEN"}, r"given.GIVEN cannot stand in for arms.DRAW: it takes other arguments \(a, and"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(rows: dict[str, str], said: str) -> None:
    library = callers()
    beside = []
    for other in (players("wide", "WIDE", count=3), players("given", "GIVEN", slots="(a: 1..2)", given="(1)")):
        found = Library(library.hosts[0].core, other.memory, other.sets)
        found.core = _same_core(found, other)
        beside.append(found)
    with pytest.raises(LibraryError, match=said):
        standing_in(library, rows, beside=beside)


def _same_core(found: Library, other: Library) -> Core:
    """A core of the same digest that lists another library's worlds."""
    core = copy.copy(found.core)
    core.worlds = other.core.worlds
    return core


def test_beside_a_core_that_acts_anywhere_rows_of_other_worlds_of_the_kind_fit() -> None:
    library = Library.open(npi.shipped()["optimisation"])
    one, two = (library.task(f"{name}.{name}")[0].world.spec for name in ("quadratic", "mlp"))
    assert library.core.lists_worlds
    assert (one.kind, one.channels == two.channels) == (two.kind, False)
    swapped = standing_in(library, {"quadratic.OPTIMISE": "mlp.OPTIMISE"}).memory
    index = swapped.index("quadratic.OPTIMISE")
    assert torch.equal(swapped.embeddings_NP[index], library.memory.embeddings_NP[library.memory.index("mlp.OPTIMISE")])
    assert not torch.equal(swapped.embeddings_NP[index], library.memory.embeddings_NP[index])


def test_rows_of_another_core_do_not_stand_in() -> None:
    with pytest.raises(LibraryError, match=r"has no program third.THIRD; its core has arms.DRAW, arms.OTHER"):
        standing_in(callers(), {"DRAW": "third.THIRD"}, beside=[players("third", "THIRD", seed=1)])
    with pytest.raises(LibraryError, match=r"strip.HOME has a body"):
        standing_in(grown(), {"HOME": "SCAN"})


def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    combined([callers(), players("more", "MORE", seed=3)]).save(tmp_path / "tools")
    words = ["desk.both", "--library", tmp_path / "tools", "--use-row", "DRAW=OTHER"]
    code, out, _ = command(capsys, "run", *words, "episode=4")
    assert code in (0, 1)
    assert f"by the core of {tmp_path / 'tools'} with DRAW=OTHER" in out
    found = document(capsys, "run", *words, "episode=4", code=code)
    assert found["rows"] == {"DRAW": "OTHER"}
    same = npi.run("desk.both", {"episode": 4}, library=tmp_path / "tools", rows={"DRAW": "OTHER"})
    assert found["steps"] == same.steps
    assert command(capsys, "eval", *words, "--count", 3)[0] in (0, 1)
    for other, said in (
        (["desk.both", "--use-row", "DRAW"], "--use-row DRAW: write NAME=VALUE"),
        (["desk.both", "--use-row", "DRAW=OTHER", "--use-row", "DRAW=DRAW"], "each name once"),
        (["--use-row", "DRAW=OTHER"], "--use-row is for the tasks of one member"),
    ):
        code, _, err = command(capsys, "eval", *other, "--library", tmp_path / "tools")
        assert code == 2
        assert said in err
