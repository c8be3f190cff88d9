"""Training optimisers, and rows beside a frozen one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dsl import load
from meta.optimisation.learner import LEARNER, OptimiserTraining
from meta.optimisation.network import OptimiserConfig
from npi.jobs.learners import new_library, objective_of, train_learner
from npi.jobs.train import learn_into
from npi.learners.core import LearnerProgramCore
from npi.learners.evaluate import score_task
from npi.learners.rollout import play
from npi.learners.tasks import learner_for, training_tasks
from npi.library.library import Library
from tests.meta.optimisation.test_learned_optimiser import LEARNING, problems, task_of
from traces.machine.lockstep import run

QUICK = OptimiserTraining(updates=32, batch=16, truncation=20, rate=5e-3, check_every=32, problems=32)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that has quadratic.OPTIMISE, after two updates."""
    folder = tmp_path_factory.mktemp("optimiser") / "library"
    train_learner([LEARNING / "quadratic.npi"], out=folder, training=replace(QUICK, updates=2, check_every=2))
    return folder


def losses(library: Library, seed: int | None = None) -> dict[str, float]:
    """Of quadratics that no training drew; with a seed, those of an untrained core with the same rows."""
    programs, task = library.task("quadratic")
    if seed is not None:
        core = LearnerProgramCore(
            library.core.config, library.core.worlds, generator=torch.Generator().manual_seed(seed)
        )
        library = Library(core, library.memory, library.sets)
    return {name: score.mean for name, score in score_task(library, programs, task, count=300).scores.items()}


@pytest.mark.thorough
def test_training_learns_to_optimise(tmp_path: Path) -> None:
    """With averages of gradients; without them is a usual test."""
    library = train_learner([LEARNING / "quadratic.npi"], out=tmp_path, training=QUICK).library
    assert losses(library)["loss at 100"] < 0.4  # Adam with its best rate: 0.34
    assert losses(library, seed=5)["loss at 100"] > 0.6  # a core that has averages begins as Adam and momentum


def test_training_learns_to_optimise_from_nothing(tmp_path: Path) -> None:
    config, training = OptimiserConfig(averages=0), replace(QUICK, updates=26, rate=1e-2)
    library = train_learner([LEARNING / "quadratic.npi"], out=tmp_path, config=config, training=training).library
    assert losses(library)["loss at 100"] < 0.6
    assert losses(library, seed=5)["loss at 100"] > 100


def test_a_new_row_changes_only_the_row(begun: Path, tmp_path: Path) -> None:
    learning = replace(LEARNER.learning, updates=3, batch=8, problems=8, starts=2)
    found = learn_into(begun, [LEARNING / "rosenbrock.npi"], config=learning, out=tmp_path / "more")
    library = Library.open(tmp_path / "more")
    assert found.unchanged
    assert found.rows == ("rosenbrock.OPTIMISE",)
    assert found.numbers == library.core.config.row
    before, after = Library.open(begun), Library.open(tmp_path / "more")
    assert before.core.digest() == after.core.digest()
    assert torch.equal(before.memory.embeddings_NP, after.memory.embeddings_NP[:1])


def test_batches_are_smaller_where_problems_have_many_hidden_numbers() -> None:
    sets = [load(LEARNING / f"{name}.npi") for name in ("quadratic", "digits")]
    tasks = [task for programs in sets for task in training_tasks(programs)]
    objective = objective_of(new_library(OptimiserConfig(), tasks, sets, seed=0), tasks, LEARNER.training)
    groups = objective.problems.groups
    assert [objective.core.hidden_size(group.world.spec) for group in groups] == [10 * 84, 1510 * 84]
    assert [objective.room(group, 64, 400_000) for group in groups] == [64, 3]
    assert objective.room(groups[1], 64, 1) == 1
    assert objective.room(groups[1], 64, 0) == 64


def test_the_machine_runs_it_as_the_rollout_does(begun: Path) -> None:
    library = Library.open(begun)
    programs, task = library.task("quadratic")
    core, world = library.core, programs.world
    assert isinstance(core, LearnerProgramCore)
    assert learner_for(programs) is LEARNER
    state, rolled = problems(world, 4), problems(world, 4)
    program_B = torch.full((4,), task.program)
    outcome = run(library.stepper(programs.table), world, state, programs.table, program_B, torch.zeros(4, 3).long())
    row_BP = library.memory.embeddings_NP[:1].detach().expand(4, -1)
    episodes = play(core.net, world, rolled, task_of(world, row_BP), 100)
    assert outcome.steps_N.tolist() == [101] * 4
    torch.testing.assert_close(world.score(state)["loss"].detach(), episodes.scores["loss"][-1], rtol=1e-3, atol=1e-5)


def test_the_floor_says_which_losses_are_small() -> None:
    """Red where the floor is ignored: the objective of losses far below it is their mean, but for a constant."""
    tasks = training_tasks(load(LEARNING / "quadratic.npi"))
    library = new_library(OptimiserConfig(), tasks, [load(LEARNING / "quadratic.npi")], seed=0)
    mean_T = torch.tensor([1e-3, 3e-3])
    for floor, expected in ((1e-6, mean_T.log().mean()), (10.0, torch.tensor(10.0).log() + mean_T.mean() / 10)):
        objective = objective_of(library, tasks, replace(LEARNER.training, floor=floor))
        torch.testing.assert_close(objective.transform(mean_T).mean(), expected, rtol=1e-3, atol=1e-6)
