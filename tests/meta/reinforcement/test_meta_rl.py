"""Meta-reinforcement learning: the recurrent layer, the network, its loss, and a training from nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import loads
from envs.episodic.bandit import FAMILIES, Bandit
from envs.spec import NONE, Channel, Field, Signature, Slot, WorldSpec
from envs.stepper import Action
from envs.world import Episodes
from meta.reinforcement.adapter import all_calls, shown
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from meta.reinforcement.lstm import step, unroll
from meta.reinforcement.network import ActorCritic
from npi.jobs.learners import train_learner
from npi.learners.interface import TaskInput, learner_of
from npi.learners.objectives.on_policy import (
    OnPolicy,
    OnPolicyTraining,
    action_values,
    advantages,
    leave_one_out,
)  # fmt: skip
from npi.learners.rollout import GeneratorDraw, calls, play, rollout
from npi.learners.tasks import Batch, Problems, training_tasks
from npi.training.ranks import ALONE

B, K, ROW, HIDDEN, ARMS = 7, 5, 3, 11, 2
CONFIG = MetaRLConfig(row=ROW, hidden=HIDDEN)
MORE = replace(CONFIG, sums=1, privileged=1)
WORLD = Bandit("arms", {"arms": ARMS, "steps": 100})

EASY = """world arms is bandit(arms: 2, family: easy, steps: 20)

program EXPLORE "Find the arm that pays more, and keep pulling it":
    maximise reward over 20 steps
    core "meta-rl"

task easy(episode: number):
    EPISODE = digits(episode)
    run EXPLORE
    expect TRIAL == [20]
    train episode of 6 digits
    test episode of 7 digits
"""


def core(seed: int = 0, config: MetaRLConfig = CONFIG) -> ActorCritic:
    """Untrained, but with heads that are not small, so that choices differ."""
    net = LEARNER.core(config, [WORLD.spec], generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        net.value.weight.mul_(30)
        net.worlds[0].policy.weight.mul_(100)
    return net


def task_of(rows: int = B, seed: int = 1) -> TaskInput:
    row_BP = torch.randn(rows, ROW, generator=torch.Generator().manual_seed(seed))
    return TaskInput(WORLD.spec, 0, row_BP, torch.zeros(rows, 3, dtype=torch.int64))


def begun(episode_B: torch.Tensor) -> Any:
    return WORLD.begin(episode_B, torch.zeros_like(episode_B), torch.zeros_like(episode_B))


def rolled(
    net: ActorCritic, task: TaskInput, *, noise: int | None = None, episode_B: torch.Tensor | None = None
) -> Episodes:
    """K steps of episodes 0, 1, 2, …, with the expected rewards of calls where there is noise."""
    episode_B = torch.arange(len(task.row_BP)) if episode_B is None else episode_B
    draw = None
    if noise is not None:
        draw = GeneratorDraw(torch.Generator().manual_seed(noise), len(episode_B), torch.arange(len(episode_B)))
    with torch.no_grad():
        return rollout(net, WORLD, begun(episode_B), task, net.begin(task), K, draw=draw, notes=values_of(net))[0]


def values_of(net: ActorCritic) -> Any:
    """The expected rewards of calls before each action, as the objective of a privileged critic notes them."""
    return objective(net)._notes(objective(net).problems.groups[0])


def objective(net: ActorCritic, **training: Any) -> OnPolicy:
    programs = loads(EASY, path="easy.npi")
    problems = Problems(tuple(training_tasks(programs)), (0,))
    return LEARNER.objective(net, torch.zeros(1, ROW), problems, OnPolicyTraining(**training))


def loss_of(net: ActorCritic, task: TaskInput, episodes: Episodes, progress: float = 1.0, **training: Any) -> Any:
    """The loss of episodes that end with the program."""
    one = objective(net, **training)
    batch = Batch([], None, torch.zeros(B), task.arguments_B3, torch.arange(B), torch.arange(B), B, 1.0)
    unrolled, group = net.unroll(task, episodes, net.begin(task)), one.problems.groups[0]
    return one.loss(unrolled, episodes, batch, group, progress, True, ALONE)


# --- the recurrent layer ---------------------------------------------------------------------------------------------


def layer_inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = (K, B, 4 * 3), (B, 4 * 3), (3, 4 * 3), (B, 3), (B, 3)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes)


def test_the_gradient_of_the_recurrent_layer_is_that_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(unroll, layer_inputs())


def test_an_unrolled_layer_is_its_steps_one_by_one() -> None:
    in_KBG, gain_BG, recur_HG, h_BH, c_BH = layer_inputs()
    found_KBH = unroll(in_KBG, gain_BG, recur_HG, h_BH, c_BH)
    for in_BG, found_BH in zip(in_KBG, found_KBH, strict=True):
        h_BH, c_BH = step(in_BG, gain_BG, recur_HG, h_BH, c_BH)
        torch.testing.assert_close(found_BH, h_BH)


def test_a_step_is_that_of_torch_where_the_gain_is_one() -> None:
    in_KBG, _, recur_HG, h_BH, c_BH = (part.detach() for part in layer_inputs())
    cell = torch.nn.LSTMCell(12, 3, bias=False).double()
    order = torch.tensor([0, 1, 3, 2])  # ours: enters, stays, shows, proposed; torch's: i, f, g, o
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(12).view(4, 3, 12)[order].flatten(0, 1))
        cell.weight_hh.copy_(recur_HG.T.reshape(4, 3, 3)[order].flatten(0, 1))
    found = step(in_KBG[0], torch.ones(B, 12, dtype=torch.float64), recur_HG, h_BH, c_BH)
    torch.testing.assert_close(found, cell(in_KBG[0], (h_BH, c_BH)))


# --- the network -----------------------------------------------------------------------------------------------------


def test_values_of_short_fields_are_told_apart_and_neighbours_in_long_ones_look_alike() -> None:
    table_VL = shown([3, 101])
    assert table_VL.shape == (104, 3 + 9)
    assert table_VL[:3, :3].tolist() == torch.eye(3).tolist()
    long_VL = table_VL[3:, 3:]
    assert (long_VL[10] - long_VL[11]).norm() < 0.2 < 0.5 < (long_VL[10] - long_VL[40]).norm()


def test_every_call_of_every_primitive_can_be_chosen() -> None:
    primitives = (
        Signature("GO"),
        Signature("PUT", (Slot("what", (1, 2)), Slot("where", (3, 2)))),
    )
    spec = WorldSpec("w", "k", {}, (Field("F", ("a", "b")),), (NONE, "x", "y", "z"), primitives)
    call_A4 = all_calls(spec)
    assert call_A4.tolist() == [[0, 0, 0, 0], [1, 1, 3, 0], [1, 1, 2, 0], [1, 2, 3, 0], [1, 2, 2, 0]]
    adapter = LEARNER.core(CONFIG, [spec], generator=torch.Generator()).worlds[0]
    assert adapter.index(call_A4[None].flip(1)).tolist() == [[4, 3, 2, 1, 0]]


@pytest.mark.parametrize("config", [CONFIG, MORE], ids=["usual", "more"])
def test_unrolled_at_once_it_is_its_steps(config: MetaRLConfig) -> None:
    """Log-likelihoods, values and the entropy of what is done, by the steps one by one."""
    net, task = core(config=config), task_of()
    episodes = replace(rolled(net, task, noise=0), scores={})
    assert bool(WORLD.legal(Action(calls(episodes).flatten(0, 1))).all())
    without = replace(episodes, extras={n: e for n, e in episodes.extras.items() if n != "call_values"})
    unrolled = net.unroll(task, without, net.begin(task))
    for name in ("log_likelihood", "value"):
        torch.testing.assert_close(unrolled[name], episodes.extras[name])
    log_KB = unrolled["log_likelihood"]
    other_KB = (1 - log_KB.exp()).log()
    torch.testing.assert_close(unrolled["entropy"], -(log_KB.exp() * log_KB + other_KB.exp() * other_KB))


def test_gradient_reaches_the_row_and_every_number_of_the_core() -> None:
    net, task = core(), task_of()
    task.row_BP.requires_grad_()
    loss_of(net, task, rolled(net, task, noise=0)).backward()
    assert task.row_BP.grad is not None
    assert bool((task.row_BP.grad.abs().sum(1) > 0).all())
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_sums_hold_how_often_something_was_seen() -> None:
    """What is observed in five steps adds up to the same in any order of the steps."""
    net, task = core(config=MORE), task_of(1)
    seen = rolled(net, task, noise=0).seen
    ends = []
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        hidden_BH = net.begin(task)
        for place in order:
            hidden_BH = net.step(task, seen[place], hidden_BH).hidden_BH
        ends.append(hidden_BH[:, 2 * HIDDEN :])
    assert ends[0].shape == (1, HIDDEN)
    assert bool((ends[0] > 0).any())
    torch.testing.assert_close(ends[0], ends[1])


def test_the_row_changes_what_is_done() -> None:
    net = core()
    one, other = (rolled(net, task_of(seed=seed)).extras["log_likelihood"] for seed in (1, 2))
    assert float((one - other).abs().max()) > 0.05


def test_without_noise_the_likeliest_call_is_made() -> None:
    net, task = core(), task_of()
    assert bool((rolled(net, task).extras["log_likelihood"].exp() >= 1 / ARMS - 1e-6).all())


def test_arguments_of_the_program_are_seen() -> None:
    net, task = core(), task_of()
    other = replace(task, arguments_B3=task.arguments_B3 + torch.tensor([1, 0, 0]))
    values = [rolled(net, one).extras["value"] for one in (task, other)]
    assert float((values[0] - values[1]).abs().max()) > 1e-3


# --- the loss --------------------------------------------------------------------------------------------------------


def test_advantages_are_those_that_a_person_works_out() -> None:
    reward_KB, value_KB = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[0.5], [1.0], [0.0]])
    # Errors of one step, with a discount of a half: 1 + 0.5 - 0.5, 0 + 0 - 1, 2 + 0 - 0; a fourth of each later one.
    found = advantages(reward_KB, value_KB, 0.5, 0.5, ends=True)
    assert found[:, 0].tolist() == [1 - 1 / 4 + 2 / 16, -1 + 2 / 4, 2]
    # What goes on has no estimate for its last step, whose value stands for the rest.
    assert advantages(reward_KB, value_KB, 0.5, 0.5, ends=False)[:, 0].tolist() == [1 - 1 / 4, -1]
    assert advantages(reward_KB, value_KB, 0.0, 0.0, ends=True)[:, 0].tolist() == [0.5, -1, 2]


def test_behind_a_true_end_there_are_no_advantages_and_no_value_follows_it() -> None:
    reward_KB, value_KB = torch.tensor([[1.0], [4.0], [9.0]]), torch.tensor([[0.5], [1.0], [7.0]])
    live_TB, ended_TB = torch.tensor([[True], [True], [False]]), torch.tensor([[False], [True], [False]])
    found = advantages(reward_KB, value_KB, 1.0, 0.5, ends=True, live_TB=live_TB, ended_TB=ended_TB)
    assert found[:, 0].tolist() == [1 + 1 - 0.5 + 0.5 * (4 - 1), 4 - 1, 0]


def test_the_loss_makes_likelier_what_paid() -> None:
    """One episode in which only the second act paid: down the gradient its probability rises, the others' fall."""
    net, task = core(), task_of(1)
    with torch.no_grad():
        net.value.weight.zero_()
    episodes = rolled(net, task, noise=1)
    paid = replace(episodes, scores={"reward": torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])[:, None]})
    log_K = net.unroll(task, episodes, net.begin(task))["log_likelihood"][:, 0]
    direct = torch.autograd.grad(-(log_K * torch.tensor([-1.0, 4.0, -1.0, -1.0, -1.0])).sum(), net.recur_HG)[0]
    loss = loss_of(net, task, paid, discount=0.0, final_discount=0.0, value_weight=0.0)
    found = torch.autograd.grad(loss, net.recur_HG)[0]
    torch.testing.assert_close(found / found.norm(), direct / direct.norm())


def test_discount_and_entropy_change_in_training() -> None:
    net, task = core(), task_of()
    episodes = rolled(net, task, noise=0)

    def losses(*shares: float, **training: float) -> list[float]:
        return [float(loss_of(net, task, episodes, share, **training).detach()) for share in shares]

    begun, half, done = losses(0.0, 0.5, 1.0, discount=0.1, final_discount=0.9, entropy=0.5)
    assert len({begun, half, done}) == 3
    assert losses(0.0, discount=0.9, final_discount=0.9, entropy=0.0) == [pytest.approx(done)]


def test_rollouts_of_a_problem_are_compared_step_by_step() -> None:
    """Problems 0 and 1, each with two rollouts; what both have alike is no news."""
    reward_KB = torch.tensor([[1.0, 0.0, 1.0, 5.0], [0.0, 2.0, 3.0, 2.0]])
    found = leave_one_out(reward_KB, torch.tensor([0, 1, 0, 1]))
    assert found.tolist() == [[0, -5, 0, 5], [-3, 0, 3, 0]]
    three = leave_one_out(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0, 0, 0]))
    assert three.tolist() == [[3.0, -1.5, -1.5]]
    alone = leave_one_out(reward_KB, torch.arange(4))
    assert torch.equal(alone, reward_KB)


def test_a_leave_one_out_baseline_leaves_the_expected_gradient_as_it_is() -> None:
    """Over many rollouts of one problem the gradient with the baseline is that without, within its noise."""
    net, B = core(), 4000
    task = replace(task_of(1), row_BP=task_of(1).row_BP.expand(B, -1), arguments_B3=torch.zeros(B, 3).long())
    episodes = rolled(net, task, noise=2, episode_B=torch.zeros(B, dtype=torch.int64))
    log_KB = net.unroll(task, episodes, net.begin(task))["log_likelihood"]
    reward_KB = episodes.scores["reward"]
    left = [r.flip(0).cumsum(0).flip(0) for r in (reward_KB, leave_one_out(reward_KB, torch.arange(B) // 2))]
    plain, compared = (
        torch.autograd.grad((log_KB * gain_KB).sum(0).mean(), net.enter.bias, retain_graph=True)[0]
        for gain_KB in left
    )  # fmt: skip
    assert float((plain - compared).norm()) < 0.2 * float(plain.norm())


# --- a privileged critic ---------------------------------------------------------------------------------------------


def test_a_privileged_critic_is_told_the_expected_rewards_of_calls() -> None:
    episodes = rolled(core(config=MORE), task_of(), noise=0)
    values_KBA = episodes.extras["call_values"]
    assert values_KBA.shape == (K, B, ARMS)
    for arm in range(ARMS):
        call_B4 = torch.tensor([[0, arm + 1, 0, 0]]).expand(B, 4)
        assert torch.equal(values_KBA[0, :, arm], WORLD.value(begun(torch.arange(B)), Action(call_B4)))
    assert "call_values" not in rolled(core(), task_of(), noise=0).extras


def test_a_privileged_critic_changes_values_and_nothing_that_is_done() -> None:
    net, task = core(config=MORE), task_of()
    episodes = rolled(net, task, noise=0)
    other = replace(episodes, extras={"call_values": episodes.extras["call_values"].flip(2)})
    one, another = (net.unroll(task, part, net.begin(task)) for part in (episodes, other))
    assert torch.equal(one["log_likelihood"], another["log_likelihood"])
    assert float((one["value"] - another["value"]).detach().abs().max()) > 1e-3
    (grad,) = torch.autograd.grad(one["value"].sum(), [net.recur_HG], allow_unused=True)
    assert grad is None, "the critic's error shapes the hidden state"


def test_the_expected_reward_of_actions_is_in_the_mean_their_reward() -> None:
    net, B = core(config=MORE), 6000
    task = replace(task_of(1), row_BP=task_of(1).row_BP.expand(B, -1), arguments_B3=torch.zeros(B, 3).long())
    episodes = rolled(net, task, noise=2)
    values_KBA, chosen_KB = episodes.extras["call_values"], calls(episodes)[:, :, 1] - 1
    gap_B = (episodes.scores["reward"] - action_values(values_KBA, chosen_KB, regret=False)).sum(0)
    assert float(gap_B.std()) > 0.8, "rewards are drawn"
    assert abs(float(gap_B.mean())) < 4 * float(gap_B.std()) / B**0.5
    regret_KB = values_KBA.max(2).values - values_KBA.gather(2, chosen_KB[..., None])[..., 0]
    torch.testing.assert_close(action_values(values_KBA, chosen_KB, regret=True), -regret_KB)


def test_a_world_of_many_calls_has_no_privileged_critic() -> None:
    many = Bandit("arms", {"arms": 33, "family": "drawn"})
    with pytest.raises(ValueError, match="has 33; train with privileged: 0"):
        LEARNER.core(MORE, [many.spec], generator=torch.Generator().manual_seed(0))


def test_episodes_are_judged_by_reward_then_regret() -> None:
    net, task = core(), task_of()
    episodes = play(net, WORLD, begun(torch.arange(B)), task, K)
    judged = LEARNER.judge(WORLD, episodes)
    assert list(judged) == ["reward", "regret", "best"]
    assert torch.equal(judged["reward"], episodes.scores["reward"].sum(0))
    assert torch.equal(judged["best"], (episodes.extras["regret"] == 0).float().mean(0))
    assert list(LEARNER.judge(WORLD, replace(episodes, extras={}))) == ["reward"]


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_the_engine_finds_it_and_it_says_what_it_cannot_act_in() -> None:
    assert learner_of("meta-rl") is LEARNER
    spec = WORLD.spec
    LEARNER.admit(spec)
    with pytest.raises(ValueError, match="shows pictures"):
        LEARNER.admit(replace(spec, channels=(Channel("EYE", (3, 5, 1), fields=("LAST",)),)))
    many = Signature("PUT", tuple(Slot(name, tuple(range(1, 18))) for name in "abc"))
    with pytest.raises(ValueError, match="4913 different calls"):
        LEARNER.admit(WorldSpec("w", "k", {}, spec.fields, (NONE, *map(str, range(1, 18))), (many,)))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"hidden": 10**9}, "hidden must be at least 1 and at most 16384, it is 1000000000"),
        ({"row": 10**9}, "row must be at least 1 and at most 16384"),
        ({"sums": 2}, "sums is 0 or 1, it is 2"),
    ],
)
def test_shapes_that_cannot_be(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MetaRLConfig(**setting)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"gae_lambda": 1.5}, "gae_lambda is a share from 0 to 1"),
        ({"rollouts": 0}, "rollouts must be at least 1"),
        ({"regret": 1}, "regret needs a core with a privileged critic"),
    ],
)
def test_settings_that_cannot_be(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        objective(core(), **setting)


# --- training --------------------------------------------------------------------------------------------------------


def regret(net: Any, row_P: torch.Tensor, world: Bandit, steps: int) -> float:
    """On 1,000 episodes that no training draws."""
    episode_B = torch.arange(5_000_000, 5_001_000)
    family_B = torch.full_like(episode_B, FAMILIES.index("easy"))
    state = world.begin(episode_B, family_B, torch.zeros_like(episode_B))
    task = TaskInput(world.spec, 0, row_P.detach().expand(1000, -1), torch.zeros(1000, 3, dtype=torch.int64))
    return float(LEARNER.judge(world, play(net, world, state, task, steps))["regret"].mean())


@pytest.mark.parametrize(
    ("config", "training"),
    [
        (MetaRLConfig(hidden=16), {"rollouts": 4}),
        pytest.param(
            MetaRLConfig(hidden=16, sums=1, privileged=1),
            {"regret": 1, "discount": 1.0, "gae_lambda": 0.92, "value_weight": 1.0},
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["rollouts", "privileged"],
)
def test_training_from_nothing_learns_to_explore_in_seconds(
    config: MetaRLConfig, training: dict[str, Any], tmp_path: Path
) -> None:
    """Who always pulls one arm has a regret of 8; the least that is possible is 0.6; Thompson sampling has 1.9."""
    path = tmp_path / "easy.npi"
    path.write_text(EASY)
    settings = OnPolicyTraining(updates=100, batch=64, rate=1e-2, check_every=100, **training)
    world = Bandit("arms", {"arms": 2, "family": "easy", "steps": 20})
    untrained = LEARNER.core(config, [world.spec], generator=torch.Generator().manual_seed(0))
    assert regret(untrained, torch.zeros(config.row), world, 20) > 6
    library = train_learner([path], out=tmp_path / "library", config=config, training=settings).library
    row_P = library.memory.embeddings_NP[0]
    assert regret(library.core.net, row_P, world, 20) < 1.5
