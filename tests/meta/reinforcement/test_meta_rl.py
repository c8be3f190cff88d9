"""Meta-reinforcement learning: the recurrent layer, the network, its loss, and a training from nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from envs.episodic.bandit import Bandit
from envs.episodic.bandit_families import FAMILIES
from envs.spec import NONE, Channel, Field, Signature, Slot, WorldSpec
from envs.stepper import Action
from meta.reinforcement.learner import LEARNER, advantages, beside_twins
from meta.reinforcement.lstm import step, unroll
from meta.reinforcement.network import ActorCritic, MetaRLConfig, calls, shown
from meta.reinforcement.privileged_critic import brought
from npi.learners.interface import Asked, HostedTraining, Roll, learner_of
from npi.learners.jobs import train_hosted
from npi.learners.rollout import rollout

B, K, ROW, HIDDEN, ARMS = 7, 5, 3, 11, 2
CONFIG = MetaRLConfig(row=ROW, hidden=HIDDEN)
MORE = replace(CONFIG, tally=1, insight=1)
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
    net = LEARNER.network(config, [WORLD.spec], generator=torch.Generator().manual_seed(seed))
    assert isinstance(net, ActorCritic)
    with torch.no_grad():
        net.value.weight.mul_(30)
        net.worlds[0].policy.weight.mul_(100)
    return net


def asked(rows: int = B, seed: int = 1) -> Asked:
    row_BP = torch.randn(rows, ROW, generator=torch.Generator().manual_seed(seed))
    return Asked(0, row_BP, torch.zeros(rows, 3, dtype=torch.int64))


def rolled(net: ActorCritic, told: Asked, *, luck: int | None = None, begun: Any = None, **more: Any) -> Roll:
    """K steps of episodes 0, 1, 2, …"""
    episode_B = torch.arange(len(told.row_BP)) if begun is None else begun
    state = WORLD.begin(episode_B, torch.zeros_like(episode_B), torch.zeros_like(episode_B))
    generator = None if luck is None else torch.Generator().manual_seed(luck)
    hidden_BH = torch.zeros(len(episode_B), LEARNER.width(net, WORLD))
    return rollout(LEARNER, net, WORLD, state, told, hidden_BH, K, generator=generator, judged=True, **more)[0]


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
        Signature("PUT", (Slot("what", (1, 2)), Slot("where", (2, 3)))),
    )
    spec = WorldSpec("w", "k", {}, (Field("F", ("a", "b")),), (NONE, "x", "y", "z"), primitives)
    assert calls(spec).tolist() == [[0, 0, 0, 0], [1, 1, 2, 0], [1, 1, 3, 0], [1, 2, 2, 0], [1, 2, 3, 0]]


def test_what_a_step_and_a_stretch_give_has_the_shapes_of_the_contract() -> None:
    net, told = core(), asked()
    roll = rolled(net, told, luck=0)
    assert [act.shape for act in roll.acts] == [(B, 4)] * K
    assert {name: part.shape for name, part in roll.notes.items()} == {
        "chosen": (K, B), "log": (K, B), "value": (K, B), "hidden": (K, B, 2 * HIDDEN),
    }  # fmt: skip
    assert bool(WORLD.legal(Action(torch.cat([*roll.acts]))).all())
    assert LEARNER.loss(net, roll).shape == ()


@pytest.mark.parametrize("config", [CONFIG, MORE], ids=["usual", "more"])
def test_the_loss_sees_what_the_steps_saw(config: MetaRLConfig) -> None:
    """The stretch that is computed at once gives the log-probabilities and values of its steps, in its middle, too."""
    net, told = core(config=config), asked()
    roll = rolled(net, told, luck=0)
    log_KBA, value_KB = net.whole(told, net.told(told), torch.stack([*roll.seen]), roll.notes["hidden"][0])
    torch.testing.assert_close(log_KBA.gather(2, roll.notes["chosen"][..., None])[..., 0], roll.notes["log"])
    torch.testing.assert_close(value_KB, roll.notes["value"])
    late_KBA, _ = net.whole(told, net.told(told), torch.stack([*roll.seen[2:]]), roll.notes["hidden"][2])
    torch.testing.assert_close(late_KBA, log_KBA[2:])


def test_gradient_reaches_the_row_and_every_number_of_the_core() -> None:
    net, told = core(), asked()
    told.row_BP.requires_grad_()
    LEARNER.loss(net, rolled(net, told, luck=0)).backward()
    assert told.row_BP.grad is not None
    assert bool((told.row_BP.grad.abs().sum(1) > 0).all())
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_sums_hold_how_often_something_was_seen() -> None:
    """What is seen in five steps adds up to the same in any order of the steps."""
    net, told = core(config=MORE), asked(1)
    obs_KBF = torch.stack([*rolled(net, told, luck=0).seen])
    zeros_BH = torch.zeros(1, LEARNER.width(net, WORLD))
    ends = []
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        hidden_BH = zeros_BH
        for obs_BF in obs_KBF[order]:
            _, _, hidden_BH = net.once(told, net.told(told), obs_BF, hidden_BH)
        ends.append(hidden_BH[:, 2 * HIDDEN :])
    assert ends[0].shape == (1, HIDDEN)
    assert bool((ends[0] > 0).any())
    torch.testing.assert_close(ends[0], ends[1])


def test_the_row_changes_what_is_done() -> None:
    net = core()
    one, other = (rolled(net, asked(seed=seed)).notes["log"] for seed in (1, 2))
    assert float((one - other).abs().max()) > 0.05


def test_without_luck_the_likeliest_call_is_made_and_again_the_same() -> None:
    net, told = core(), asked()
    roll, again = rolled(net, told), rolled(net, told)
    assert all(torch.equal(a, b) for a, b in zip(roll.acts, again.acts, strict=True))
    assert bool((roll.notes["log"].exp() >= 1 / ARMS - 1e-6).all())


def test_with_luck_calls_follow_the_generator() -> None:
    net, told = core(), asked()
    first, same, other = (rolled(net, told, luck=seed).notes["chosen"] for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_episodes_do_in_a_batch_what_they_do_alone() -> None:
    net, told = core(), asked()
    whole = rolled(net, told)
    for b in range(B):
        alone = Asked(0, told.row_BP[b : b + 1], told.arguments_B3[b : b + 1])
        roll = rolled(net, alone, begun=torch.tensor([b]))
        assert torch.equal(torch.cat([*roll.acts]), torch.stack([act[b] for act in whole.acts]))
        torch.testing.assert_close(roll.notes["value"][:, 0], whole.notes["value"][:, b])


def test_what_is_kept_for_a_batch_follows_the_core_and_the_batch() -> None:
    net, told = core(), asked()
    before = rolled(net, told).notes["value"]
    with torch.no_grad():
        net.condition.weight.add_(1.0)
    assert float((rolled(net, told).notes["value"] - before).abs().max()) > 1e-3
    with torch.no_grad():
        net.condition.weight.sub_(1.0)
    torch.testing.assert_close(rolled(net, told).notes["value"], before)
    assert float((rolled(net, asked(seed=5)).notes["value"] - before).abs().max()) > 1e-3


def test_arguments_of_the_program_are_seen() -> None:
    net, told = core(), asked()
    other = replace(told, arguments_B3=told.arguments_B3 + torch.tensor([1, 0, 0]))
    assert float((rolled(net, told).notes["value"] - rolled(net, other).notes["value"]).abs().max()) > 1e-3


# --- the loss --------------------------------------------------------------------------------------------------------


def test_advantages_are_those_that_a_person_works_out() -> None:
    reward_KB, value_KB = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[0.5], [1.0], [0.0]])
    # Errors of one step, with a discount of a half: 1 + 0.5 - 0.5, 0 + 0 - 1, 2 + 0 - 0; a fourth of each later one.
    found = advantages(reward_KB, value_KB, 0.5, 0.5, ends=True)
    assert found[:, 0].tolist() == [1 - 1 / 4 + 2 / 16, -1 + 2 / 4, 2]
    # What goes on has no estimate for its last step, whose value stands for the rest.
    assert advantages(reward_KB, value_KB, 0.5, 0.5, ends=False)[:, 0].tolist() == [1 - 1 / 4, -1]
    assert advantages(reward_KB, value_KB, 0.0, 0.0, ends=True)[:, 0].tolist() == [0.5, -1, 2]


def test_the_loss_makes_likelier_what_paid() -> None:
    """One episode in which only the second act paid: down the gradient its probability rises, the others' fall."""
    net = core()
    told, config = asked(1), replace(CONFIG, discount=0.0, later_discount=0.0, value=0.0)
    net.config = config
    with torch.no_grad():
        net.value.weight.zero_()
    roll = rolled(net, told, luck=1)
    paid = replace(roll, signal_KB=torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])[:, None])
    log_KBA, _ = net.whole(told, net.told(told), torch.stack([*roll.seen]), roll.notes["hidden"][0])
    log_K = log_KBA.gather(2, roll.notes["chosen"][..., None]).flatten()
    direct = torch.autograd.grad(-(log_K * torch.tensor([-1.0, 4.0, -1.0, -1.0, -1.0])).sum(), net.recur_HG)[0]
    found = torch.autograd.grad(LEARNER.loss(net, paid), net.recur_HG)[0]
    torch.testing.assert_close(found / found.norm(), direct / direct.norm())


def test_discount_and_entropy_change_while_training_is_done() -> None:
    net, told = core(), asked()
    net.config = replace(CONFIG, discount=0.1, later_discount=0.9, entropy=0.5, later_entropy=0.0)
    roll = rolled(net, told, luck=0)
    begun, half, done = (float(LEARNER.loss(net, replace(roll, progress=share)).detach()) for share in (0.0, 0.5, 1.0))
    assert len({begun, half, done}) == 3
    net.config = replace(CONFIG, discount=0.9, later_discount=0.9, entropy=0.0)
    assert float(LEARNER.loss(net, replace(roll, progress=0.0)).detach()) == pytest.approx(done)


def test_twins_are_compared_step_by_step() -> None:
    """Problems 0 and 1, each played by two; what both bring alike is no news."""
    reward_KB = torch.tensor([[1.0, 0.0, 1.0, 5.0], [0.0, 2.0, 3.0, 2.0]])
    found = beside_twins(reward_KB, torch.tensor([0, 1, 0, 1]))
    assert found.tolist() == [[0, -5, 0, 5], [-3, 0, 3, 0]]
    three = beside_twins(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0, 0, 0]))
    assert three.tolist() == [[3.0, -1.5, -1.5]]
    alone = beside_twins(reward_KB, torch.arange(4))
    assert torch.equal(alone, reward_KB)


def test_twins_leave_the_expected_gradient_as_it_is() -> None:
    """Over many plays of one problem the gradient with twins is that without, within its noise."""
    net, B = core(), 4000
    told = Asked(0, asked(1).row_BP.expand(B, -1), torch.zeros(B, 3, dtype=torch.int64))
    roll = rolled(net, told, luck=2, begun=torch.zeros(B, dtype=torch.int64))
    log_KBA, _ = net.whole(told, net.told(told), torch.stack([*roll.seen]), roll.notes["hidden"][0])
    log_KB = log_KBA.gather(2, roll.notes["chosen"][..., None])[..., 0]
    left = [r.flip(0).cumsum(0).flip(0) for r in (roll.signal_KB, beside_twins(roll.signal_KB, torch.arange(B) // 2))]
    plain, twins = (
        torch.autograd.grad((log_KB * gain_KB).sum(0).mean(), net.enter.bias, retain_graph=True)[0]
        for gain_KB in left
    )  # fmt: skip
    assert float((plain - twins).norm()) < 0.2 * float(plain.norm())


# --- a critic that knows ---------------------------------------------------------------------------------------------


def test_calls_are_weighed_while_something_is_learned_and_only_there() -> None:
    net, told = core(config=MORE), asked()
    roll = rolled(net, told, luck=0)
    assert roll.worth_KBA is not None
    assert roll.worth_KBA.shape == (K, B, ARMS)
    state = WORLD.begin(torch.arange(B), torch.zeros(B, dtype=torch.int64), torch.zeros(B, dtype=torch.int64))
    for arm in range(ARMS):
        call_B4 = torch.tensor([[0, arm + 1, 0, 0]]).expand(B, 4)
        assert torch.equal(roll.worth_KBA[0, :, arm], WORLD.value(state, Action(call_B4)))
    assert rolled(net, told).worth_KBA is None
    assert rolled(core(), told, luck=0).worth_KBA is None


def test_the_critic_that_knows_changes_values_and_nothing_that_is_done() -> None:
    net, told = core(config=MORE), asked()
    roll = rolled(net, told, luck=0)
    assert roll.worth_KBA is not None
    seen = told, net.told(told), torch.stack([*roll.seen]), roll.notes["hidden"][0]
    log_KBA, value_KB = net.whole(*seen, roll.worth_KBA)
    other_KBA, better_KB = net.whole(*seen, roll.worth_KBA.flip(2))
    assert torch.equal(log_KBA, other_KBA)
    assert float((value_KB - better_KB).detach().abs().max()) > 1e-3
    grad = torch.autograd.grad(value_KB.sum(), [net.recur_HG, *net.parameters()], allow_unused=True)
    assert grad[0] is None, "the critic's error shapes what the core holds"


def test_what_acts_were_worth_is_in_the_mean_what_they_brought() -> None:
    net, B = core(config=MORE), 6000
    told = Asked(0, asked(1).row_BP.expand(B, -1), torch.zeros(B, 3, dtype=torch.int64))
    roll = rolled(net, told, luck=2)
    assert roll.worth_KBA is not None
    gap_B = (roll.signal_KB - brought(roll.worth_KBA, roll.notes["chosen"], regret=False)).sum(0)
    assert float(gap_B.std()) > 0.8, "rewards are drawn"
    assert abs(float(gap_B.mean())) < 4 * float(gap_B.std()) / B**0.5
    assert roll.regret_KB is not None
    torch.testing.assert_close(brought(roll.worth_KBA, roll.notes["chosen"], regret=True), -roll.regret_KB)


def test_a_world_of_many_calls_has_no_critic_that_knows() -> None:
    many = Bandit("arms", {"arms": 33, "family": "drawn"})
    with pytest.raises(ValueError, match="has 33; train with insight: 0"):
        LEARNER.network(MORE, [many.spec], generator=torch.Generator().manual_seed(0))


def test_a_play_is_judged_by_reward_then_regret() -> None:
    roll = rolled(core(), asked())
    judged = LEARNER.judge(WORLD, roll)
    assert list(judged) == ["reward", "regret", "best"]
    assert torch.equal(judged["reward"], roll.signal_KB.sum(0))
    assert roll.regret_KB is not None
    assert torch.equal(judged["best"], (roll.regret_KB == 0).float().mean(0))
    assert list(LEARNER.judge(WORLD, replace(roll, regret_KB=None))) == ["reward"]


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
        ({"trace": 1.5}, "trace is a share from 0 to 1"),
        ({"regret": 1}, "regret needs insight: 1"),
        ({"tally": 2}, "tally is 0 or 1, it is 2"),
    ],
)
def test_settings_that_cannot_be(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MetaRLConfig(**setting)


# --- training --------------------------------------------------------------------------------------------------------


def regret(net: torch.nn.Module, row_P: torch.Tensor, world: Bandit, steps: int) -> float:
    """On 1,000 episodes that no training draws."""
    episode_B = torch.arange(5_000_000, 5_001_000)
    family_B = torch.full_like(episode_B, FAMILIES.index("easy"))
    state = world.begin(episode_B, family_B, torch.zeros_like(episode_B))
    told = Asked(0, row_P.detach().expand(1000, -1), torch.zeros(1000, 3, dtype=torch.int64))
    hidden_BH = torch.zeros(1000, LEARNER.width(net, world))
    roll, _ = rollout(LEARNER, net, world, state, told, hidden_BH, steps, judged=True)
    return float(LEARNER.judge(world, roll)["regret"].mean())


@pytest.mark.parametrize(
    ("twins", "config"),
    [
        (4, MetaRLConfig(hidden=16)),
        (1, MetaRLConfig(hidden=16, tally=1, insight=1, regret=1, discount=1.0, trace=0.92, value=1.0)),
    ],
    ids=["twins", "insight"],
)
def test_training_from_nothing_learns_to_explore_in_seconds(twins: int, config: MetaRLConfig, tmp_path: Path) -> None:
    """Who always pulls one arm has a regret of 8; the least that is possible is 0.6; Thompson sampling has 1.9."""
    path = tmp_path / "easy.npi"
    path.write_text(EASY)
    training = HostedTraining(updates=200, batch=64, twins=twins, rate=1e-2, check_every=200)
    world = Bandit("arms", {"arms": 2, "family": "easy", "steps": 20})
    untrained = LEARNER.network(config, [world.spec], generator=torch.Generator().manual_seed(0))
    assert regret(untrained, torch.zeros(config.row), world, 20) > 6
    library = train_hosted([path], out=tmp_path / "library", config=config, training=training).library
    row_P = library.memory.embeddings_NP[0]
    assert regret(library.core.net, row_P, world, 20) < 1.5
