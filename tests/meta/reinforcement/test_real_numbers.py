"""Meta-reinforcement learning where observations and actions are real numbers, and where episodes end."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import loads
from envs import Channel, Field, Signature, WorldSpec, make
from envs.registry import KINDS
from envs.stepper import Action, Observation
from envs.world import Episodes
from meta.reinforcement.adapter import SPREAD, payloads
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from meta.reinforcement.network import normal_log
from npi.jobs.learners import train_learner
from npi.learners.conformance import check_learner
from npi.learners.evaluate import score_task
from npi.learners.interface import TaskInput
from npi.learners.objectives.on_policy import OnPolicy, OnPolicyTraining, standardised
from npi.learners.rollout import GeneratorDraw
from npi.learners.tasks import Problems, training_tasks
from npi.training.ranks import ALONE
from tests.support import gym_envs  # noqa: F401  (registers Aim-v0)
from tests.support.small_worlds import Pusher

AIM = """world line is gymnasium(id: "Aim-v0")

program AIM "Hit the place that is seen":
    maximise reward over 4 steps
    core "meta-rl"

task aim:
    run AIM
    expect STEP == [4] or ENDED == ["yes"]
    train
    test
"""


@pytest.mark.parametrize("world", ['gymnasium(id: "Aim-v0")', 'gymnasium(id: "CartPole-v1")', "pusher(shown: 1)"])
def test_the_learner_keeps_its_promises(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.registry.KINDS", {**KINDS, "pusher": Paid})
    text = AIM.replace('gymnasium(id: "Aim-v0")', world).replace(' or ENDED == ["yes"]', "")
    check_learner(LEARNER, loads(text))


class Paid(Pusher):
    """Pays what is called closeness there."""

    score_name = "reward"


def test_it_learns_to_act_with_real_numbers(tmp_path: Path) -> None:
    (tmp_path / "aim.npi").write_text(AIM)
    training = OnPolicyTraining(updates=150, batch=32, check_every=150, discount=0.0, final_discount=0.0, rate=1e-2)
    trained = train_learner([tmp_path / "aim.npi"], training=training, out=tmp_path / "aim")
    programs = loads(AIM, path="aim.npi")
    found = score_task(trained.library, programs, programs.task("aim"), count=200)
    # four steps: always 1, the middle, is 1.5 away in the mean; a hit is near 0, and an end by one costs nothing more
    assert found.right == 200
    assert found.scores["reward"].mean > -2.0


def spec(channel: Channel) -> WorldSpec:
    act = Signature("ACT", (), "", Channel("force", (2,)))
    return WorldSpec("w", "k", {}, (Field("STEP", ("0", "1")),), ("-",), (act, Signature("REST")), (channel,))


def test_likelihood_and_entropy_of_payloads() -> None:
    """Against torch's normal distribution, and by hand where a call takes none."""
    generator = torch.Generator().manual_seed(0)
    declared = spec(Channel("seen", (3,)))
    net = LEARNER.core(MetaRLConfig(row=3, hidden=7), [declared], generator=generator)
    assert payloads(declared).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    task = TaskInput(declared, 0, torch.randn(5, 3, generator=generator), torch.zeros(5, 3, dtype=torch.int64))
    seen = Observation(torch.zeros(5, 1, dtype=torch.int64), {"seen": torch.randn(5, 3, generator=generator)})
    hidden_BH = net.begin(task, seen)
    mean_BX = net.step(task, seen, hidden_BH).action.payload_BX
    draw = GeneratorDraw(torch.Generator().manual_seed(1), 5, torch.arange(5))
    step = net.step(task, seen, hidden_BH, draw=draw)
    action = step.action
    assert mean_BX is not None
    assert action.payload_BX is not None
    assert not torch.equal(action.payload_BX, mean_BX)
    normal = torch.distributions.Normal(mean_BX, math.exp(SPREAD))
    log_BX = normal.log_prob(action.payload_BX)
    takes_B = action.call_B4[:, 0] == 0
    assert takes_B.any()
    assert not takes_B.all()
    probability_B = 1 / (1 + torch.exp(_odds(net, task, seen, hidden_BH)))
    expected_B = torch.where(takes_B, probability_B.log() + log_BX.sum(1), (1 - probability_B).log())
    assert torch.allclose(step.extras["log_likelihood"], expected_B, atol=1e-5)
    live_1B = torch.ones(1, 5, dtype=torch.bool)
    unrolled = net.unroll(task, Episodes([seen, seen], [action], {}, live_1B, ~live_1B), hidden_BH)
    assert torch.allclose(unrolled["log_likelihood"][0], expected_B, atol=1e-5)
    calls_B = -(probability_B * probability_B.log() + (1 - probability_B) * (1 - probability_B).log())
    assert torch.allclose(unrolled["entropy"][0], calls_B + probability_B * normal.entropy().sum(1), atol=1e-5)
    assert normal_log(mean_BX, mean_BX, torch.zeros(2), torch.tensor([1.0, 0.0]))[0] == pytest.approx(-0.9189385)


def _odds(net: Any, task: TaskInput, seen: Observation, hidden_BH: torch.Tensor) -> torch.Tensor:
    """log p(REST) - log p(ACT), from the likelihoods that a step gives the two without a payload."""
    live_1B = torch.ones(1, 5, dtype=torch.bool)
    found = []
    mean_BX = net.step(task, seen, hidden_BH).action.payload_BX
    for callee in (0, 1):
        call_B4 = torch.tensor([[callee, 0, 0, 0]]).repeat(5, 1)
        episodes = Episodes([seen, seen], [Action(call_B4, mean_BX)], {}, live_1B, ~live_1B)
        found.append(net.unroll(task, episodes, hidden_BH)["log_likelihood"][0])
    most = torch.distributions.Normal(mean_BX, math.exp(SPREAD)).log_prob(mean_BX).sum(1)
    return found[1] - (found[0] - most)


@pytest.mark.parametrize(
    ("channel", "message"),
    [(Channel("points", (None, 2)), "points of no fixed length"), (Channel("x", (4097,)), "4097")],
)
def test_channels_that_it_cannot_read_are_refused(channel: Channel, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LEARNER.admit(spec(channel))


def test_what_follows_an_end_counts_for_nothing() -> None:
    """The second episode ended with its first step, and the world goes on showing what that paid."""
    live_TB = torch.tensor([[True, True], [True, False], [True, False]])
    ended_TB = torch.tensor([[False, True], [False, False], [False, False]])
    scores = {"reward": torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])}
    seen = [Observation(torch.zeros(2, 1, dtype=torch.int64))] * 4
    regret = {"regret": torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.0, 0.0]])}
    judged = LEARNER.judge(make("bandit", "arms", {}), Episodes(seen, None, scores, live_TB, ended_TB, extras=regret))
    assert judged["reward"].tolist() == [6.0, 5.0]
    assert judged["regret"].tolist() == [0.5, 1.0]
    assert judged["best"].tolist() == pytest.approx([2 / 3, 0.0])
    advantage_TB = torch.tensor([[1.0, 3.0], [2.0, 90.0], [6.0, -70.0]])
    counted = torch.tensor([1.0, 3.0, 2.0, 6.0])
    found_TB = standardised(advantage_TB, live_TB, ALONE)
    assert torch.allclose(found_TB[live_TB], (counted - counted.mean()) / counted.std(), atol=1e-5)


def test_rewards_behind_an_end_move_nothing() -> None:
    """The loss of rollouts is the same whatever the world shows behind their ends."""
    task = training_tasks(loads(AIM))[0]
    core = LEARNER.core(MetaRLConfig(row=2, hidden=5), [task.world.spec], generator=torch.Generator().manual_seed(0))
    training = OnPolicyTraining(batch=4, rollouts=2)
    objective = OnPolicy(LEARNER, core, torch.zeros(1, 2), Problems((task,), (0,)), training)
    (group,) = objective.problems.groups
    batch = objective.batch(group, 0, ALONE, 2, rollouts=2)
    live_TB = torch.tensor([[True] * 4, [True, False, True, True]])
    unrolled = {
        name: torch.randn(2, 4, generator=torch.Generator().manual_seed(2)) for name in ("log_likelihood", "value")
    }
    unrolled["entropy"] = torch.ones(2, 4)
    seen = [group.world.observe(batch.state)] * 3
    losses = [
        objective.loss(
            unrolled,
            Episodes(seen, None, {"reward": torch.tensor([[1.0, 2, 3, 4], [5.0, shown, 7, 8]])}, live_TB, ~live_TB),
            batch, group, 0.5, True, ALONE,
        )
        for shown in (6.0, -1000.0)
    ]  # fmt: skip
    assert float(losses[0]) == float(losses[1])
