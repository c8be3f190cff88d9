"""Learned programs as agents, program files with many priors, and what the recipes say of plays."""

from pathlib import Path

import pytest
import torch

from benchmarks.learners.bandit_rows import recovered
from benchmarks.learners.bandits import TRAINED, agent_of, asked_first, text, world_of
from dsl import loads
from envs.episodic.bandit import ELEVEN
from envs.episodic.two_step import TwoStep
from meta.baselines.agent import Agent, Oracle, Random, rollout
from meta.baselines.two_step import ModelFree, stays
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.program_files.bandit_priors import program_file
from npi.jobs.learners import new_library, train_learner
from npi.learners.evaluate import evaluated
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.rollout import calls
from npi.learners.tasks import training_tasks
from npi.library.library import Library


def library_of(source: str) -> Library:
    """An untrained one."""
    programs = loads(source, path="file.npi")
    return new_library(MetaRLConfig(hidden=8), training_tasks(programs), [programs], seed=0)


def test_a_learned_agent_plays_what_its_program_does() -> None:
    library = library_of(text("easy"))
    programs, task = library.task("easy")
    played = next(iter(evaluated(library, programs, task, count=20)))
    state = programs.world.reset([problem.layout for problem in played.problems])
    again = rollout(programs.world, agent_of(library), state, 100)
    assert torch.equal(again.chosen_SB, calls(played.episodes)[:, :, 1])
    assert torch.equal(again.reward_SB, played.episodes.scores["reward"])


def test_every_family_has_a_file_whose_program_can_be_learned() -> None:
    for family in TRAINED:
        (learned,) = training_tasks(loads(text(family)))
        world, steps = world_of(family)
        assert (learned.steps, learned.world.config) == (steps, world.config)


def test_a_file_of_priors_has_a_program_and_a_task_for_each() -> None:
    programs = loads(program_file([3, 17], arms=4, steps=9), path="priors.npi")
    assert [program.name for program in programs.programs] == ["priors.PRIOR3", "priors.PRIOR17"]
    problems = [task.draw(8, 1, generator=torch.Generator().manual_seed(0), spread=False)[0] for task in programs.tasks]
    assert [problem.layout["PRIOR"] for problem in problems] == [[3], [1, 7]]
    chances = [programs.world.reset([problem.layout]).chance_BA for problem in problems]
    assert not torch.equal(*chances)
    library = library_of(program_file([3, 17]))
    assert library.memory.embeddings_NP.shape == (2, library.core.config.row)


@pytest.mark.parametrize("priors", [[], [0], [5, -1]])
def test_priors_begin_at_one(priors: list[int]) -> None:
    with pytest.raises(ValueError, match="begin at 1"):
        program_file(priors)


def test_who_asks_first_is_told_from_who_does_not() -> None:
    """The oracle pulls the target at once; who asks by hand pulls the last arm, and then the target."""
    world, steps = world_of("informative")
    episode_B = torch.arange(50)

    def begun() -> object:
        none_B = torch.zeros_like(episode_B)
        return world.begin(episode_B, none_B + 6, none_B)

    class Asks:
        def __init__(self) -> None:
            self.oracle = Oracle(world)

        def begin(self, state: object) -> None:
            self.oracle.begin(state)  # type: ignore[arg-type]
            self.first = True

        def act(self, obs_BF: torch.Tensor) -> torch.Tensor:
            found = torch.full((len(obs_BF),), ELEVEN) if self.first else self.oracle.act(obs_BF)
            self.first = False
            return found

    assert asked_first(rollout(world, Asks(), begun(), steps)) == 1.0  # type: ignore[arg-type]
    assert asked_first(rollout(world, Oracle(world), begun(), steps)) == 0.0  # type: ignore[arg-type]
    lucky = Random(world.spec, generator=torch.Generator().manual_seed(0))
    assert asked_first(rollout(world, lucky, begun(), steps)) == 0.0  # type: ignore[arg-type]


def test_what_rows_recover_is_a_share_of_what_fine_tuning_gains() -> None:
    families = {"1": {"mean": 5.0, "learned": 3.0, "tuned": 2.5}, "2": {"mean": 4.0, "learned": 3.0, "tuned": 2.5}}
    assert recovered(families) == pytest.approx(3 / 4)


WAYS = """world ways is two_step(common: 0.8, high: 0.9, low: 0.1, switch: 0.025)

program PLAN "Choose by which state pays, and by what leads there":
    maximise reward over 100 steps
    core "meta-rl"

task plan(episode: number):
    EPISODE = digits(episode)
    run PLAN
    expect STATE == [1]
    train episode of 8 digits
"""


@pytest.mark.thorough  # the measure and agents that know are tested in test_agents.py, learning in test_meta_rl.py
def test_what_learns_the_two_step_task_knows_the_ways(tmp_path: Path) -> None:
    """After a reward behind the rare way it leaves (Daw et al. 2011): without a model the interaction is 0."""
    path = tmp_path / "ways.npi"
    path.write_text(WAYS)
    training = OnPolicyTraining(updates=120, batch=192, rollouts=4, rate=5e-3, check_every=120)
    library = train_learner([path], out=tmp_path / "library", training=training).library
    world = library.sets[0].world
    assert isinstance(world, TwoStep)

    def interaction(agent: Agent) -> float:
        episode_B = torch.arange(200_000_000, 200_000_500)
        played = rollout(world, agent, world.begin(episode_B, torch.ones_like(episode_B)), 100)
        return stays(world.spec, played).interaction

    assert interaction(agent_of(library)) > 0.3
    assert abs(interaction(ModelFree(world.spec, generator=torch.Generator().manual_seed(0)))) < 0.1
