"""The environments that Gymnasium makes by name: its own checker, rewards, masks, pictures, and batches of them."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import envs.gym
from envs import Action, Channel, Field, Scratchpad, Signature, Slot, WorldSpec, make
from envs.gym import WorldEnv, WorldVectorEnv
from envs.gym.interface import Interface
from npi import examples
from tests.support.pads import SORTING

SORT = {"file": str(examples() / "bubblesort.npi"), "task": "sort"}
SHOWN = {"file": str(examples() / "learning" / "glyphs.npi"), "task": "pick", "pictures": True}
POLE = {"kind": "gymnasium", "settings": {"id": "CartPole-v1"}, "limit": 30}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("npi/Bandit-v0", {}), ("npi/Bandit-v0", {"family": "easy", "limit": 7, "steps": 7}), ("npi/TwoStep-v0", {}),
    ("npi/Harlow-v0", {}), ("npi/Task-v0", SHOWN), ("npi/Task-v0", SORT), ("npi/Blocks-v0", {}),
    ("npi/Blocks-v0", {"pixels": 32, "beta": 3}), ("npi/Towers-v0", {}), ("npi/Towers-v0", {"actuator": "velocity"}),
    ("npi/Task-v0", {"file": str(examples() / "goto.npi"), "task": "goto"}), ("npi/Reaching-v0", {}),
    ("npi/PuzzleBox-v0", {}), ("npi/Pen-v0", {"alphabets": 1, "steps": 20, "limit": 20}),
    ("npi/Images-v0", {"alphabets": 3, "ways": 3, "pixels": 16}),
]  # fmt: skip


@pytest.mark.parametrize(("env_id", "kwargs"), CASES)
def test_gymnasium_finds_no_fault(env_id: str, kwargs: dict[str, Any]) -> None:
    """With every render mode."""
    env = gymnasium.make(env_id, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_rewards_are_those_of_the_world() -> None:
    """An easy bandit beside the world itself, and a loss, which counts negative."""
    env = gymnasium.make("npi/Bandit-v0", family="easy", layout={"EPISODE": [4, 2]})
    env.reset(seed=0)
    world: Any = make("bandit", "arms", {"family": "easy"})
    state, paid = world.reset([{"EPISODE": [4, 2]}]), []
    for step in range(40):
        arm = step % 2
        world.act(state, Action(torch.tensor([[0, 1 + arm, 0, 0]])), torch.ones(1, dtype=torch.bool))
        reward, ended, cut = env.step(arm)[1:4]
        paid.append(reward)
        assert (reward, ended, cut) == (float(world.score(state)["reward"]), False, False)
    assert {0.0, 1.0} == set(paid)
    bowl = gymnasium.make("npi/Optimisee-v0", dimensions=3).unwrapped
    seen, _ = bowl.reset(seed=1)
    assert bowl.action_space == spaces.Box(-np.inf, np.inf, (3,), np.float32)
    losses = [-float(bowl.step(-0.01 * seen["gradient"])[1]) for _ in range(2)]
    state = bowl._state  # type: ignore[attr-defined]
    assert losses[1] == pytest.approx(float(state.loss_B.detach()))
    assert losses[1] < losses[0]


def stepped_one_by_one(env_id: str, kwargs: dict[str, Any], count: int, seed: int, actions: list[Any]) -> list[Any]:
    """What B single environments give that are begun anew in the step after their ends."""
    singles = [gymnasium.make(env_id, disable_env_checker=True, **kwargs) for _ in range(count)]
    found = [[env.reset(seed=seed + b)[0] for b, env in enumerate(singles)]]
    over = [False] * count
    for step in actions:
        rows = []
        for b, env in enumerate(singles):
            rows.append((env.reset()[0], 0.0, False, False) if over[b] else env.step(step[b])[:4])
            over[b] = rows[b][2] or rows[b][3]
        found.append(rows)
    return found


@pytest.mark.parametrize(
    ("env_id", "kwargs", "ends"),
    [
        ("npi/Bandit-v0", {"family": "easy", "limit": 7, "steps": 7}, True),
        ("npi/Task-v0", {**SORT, "size": 2, "limit": 60}, True),
        ("npi/World-v0", POLE, True),
        ("npi/Optimisee-v0", {"dimensions": 3}, False),
        ("npi/BlackBox-v0", {"function": "branin", "limit": 5}, False),
    ],
)
def test_a_batch_does_what_its_instances_do_one_by_one(env_id: str, kwargs: dict[str, Any], ends: bool) -> None:
    B, steps = 5, 150 if ends else 10
    batch = gymnasium.make_vec(env_id, num_envs=B, **kwargs)
    assert isinstance(batch.unwrapped, WorldVectorEnv)
    batch.action_space.seed(3)
    observed, infos = batch.reset(seed=11)
    mask = infos["action_mask"][0]
    kind = batch.single_action_space
    draw = np.random.default_rng(5)
    picked = np.flatnonzero(mask)
    actions = [
        draw.choice(picked, B) if isinstance(kind, spaces.Discrete) else batch.action_space.sample()
        for _ in range(steps)
    ]
    expected = stepped_one_by_one(env_id, kwargs, B, 11, actions)
    ended, apart = 0, 0
    for b in range(B):
        assert same(rows_of(observed, b), expected[0][b])
    for step, action in enumerate(actions):
        observed, reward_B, ended_B, cut_B, _ = batch.step(action)
        assert batch.observation_space.contains(observed)
        ended += int(ended_B.sum())
        apart = max(apart, len(batch.unwrapped._groups))
        for b in range(B):
            seen, reward, over, cut = expected[1 + step][b]
            assert (reward_B[b], ended_B[b], cut_B[b]) == (pytest.approx(reward, rel=1e-5), over, cut), (step, b)
            assert same(rows_of(observed, b), seen)
    assert (ended > 0) == (env_id in ("npi/Task-v0", "npi/World-v0")), "ends at different steps are compared, too"
    assert (apart > 1) == (ended > 0)
    batch.close()


def test_a_batch_that_is_begun_anew_forgets_its_ends() -> None:
    batch, fresh = (gymnasium.make_vec("npi/Bandit-v0", num_envs=3, family="easy", limit=2) for _ in range(2))
    batch.reset(seed=1)
    for _ in range(2):
        cut_B = batch.step(np.zeros(3, np.int64))[3]
    assert cut_B.all()
    assert np.array_equal(batch.reset(seed=8)[0], fresh.reset(seed=8)[0])
    for _ in range(3):
        for one, other in zip(batch.step(np.ones(3, np.int64))[:4], fresh.step(np.ones(3, np.int64))[:4], strict=True):
            assert np.array_equal(one, other)


def rows_of(observed: Any, b: int) -> Any:
    return {name: part[b] for name, part in observed.items()} if isinstance(observed, dict) else observed[b]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(np.allclose(one[name], other[name], rtol=1e-4) for name in one | other)
    return bool(np.array_equal(one, other))


def test_the_mask_says_what_the_world_can_carry_out() -> None:
    env = gymnasium.make("npi/Task-v0", **SORT).unwrapped
    _, info = env.reset(seed=3)
    mask = info["action_mask"]
    assert env.action_space == spaces.Discrete(len(mask))
    assert mask.dtype == np.int8
    assert 0 < mask.sum() < len(mask)
    for action in range(len(mask)):
        env.reset(seed=3)
        before = env.read()  # type: ignore[attr-defined]
        info = env.step(action)[4]
        assert info["legal"] == bool(mask[action])
        assert info["legal"] or env.read() == before  # type: ignore[attr-defined]
    assert all(mask[env.action_space.sample(mask)] for _ in range(50))


def test_a_task_is_done_where_its_expect_line_holds() -> None:
    env = gymnasium.make("npi/Task-v0", **SORT, size=2, limit=500).unwrapped
    rewards = []
    for seed in range(6):
        _, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        ended = cut = False
        while not (ended or cut):
            _, reward, ended, cut, info = env.step(env.action_space.sample(info["action_mask"]))
            row = env.read()["A"]  # type: ignore[attr-defined]
            assert ended == (reward == 1.0)
            assert not ended or row == sorted(row)
        rewards.append(reward)
    assert sum(rewards) >= 4
    signal = gymnasium.make("npi/Task-v0", file=str(examples() / "learning" / "eleven.npi"), task="informative")
    signal.reset(seed=0)
    assert [signal.step(0)[3] for _ in range(5)] == [False] * 4 + [True]  # its program acts over 5 steps


def test_pictures_and_text() -> None:
    env = gymnasium.make("npi/Task-v0", render_mode="rgb_array", **SHOWN)
    observed, _ = env.reset(seed=0)
    pixels = env.render()
    both = np.concatenate([observed["LEFT"], observed["RIGHT"]], 1)
    assert np.array_equal(pixels, both)
    assert pixels.dtype == np.uint8
    pad = gymnasium.make_vec("npi/Task-v0", num_envs=3, render_mode="ansi", **SORT)
    pad.reset(seed=0)
    assert [("A" in text, "P1" in text) for text in pad.render()] == [(True, True)] * 3  # type: ignore[union-attr]
    drawn = gymnasium.make("npi/Task-v0", render_mode="rgb_array", **SORT)
    drawn.reset(seed=0)
    dark, tall = (drawn.render() < 128).any(2), drawn.render().shape[0]  # type: ignore[union-attr]
    assert dark.any()
    assert not any(edge.any() for edge in (dark[0], dark[-1], dark[:, 0], dark[:, -1]))
    assert tall < drawn.render().shape[1]  # type: ignore[union-attr]
    plain = WorldEnv(make("bandit", "arms", {}), lambda _: {}, render_mode="ansi")
    assert plain.render() is None
    plain.reset()
    assert plain.render() == "LAST none\nREWARD none\nTRIAL 0"
    assert gymnasium.make("npi/Bandit-v0").unwrapped.render() is None


class Declared:
    """A world that only declares."""

    def __init__(self, channel: Channel, tokens: int) -> None:
        names = ("-", *map(str, range(tokens)))
        slots = tuple(Slot(f"s{n}", tuple(range(1 + tokens))) for n in range(3))
        parts = (Field("F", ("0",)),), names, (Signature("ACT", slots),), (channel,)
        self.spec = WorldSpec("declared", "declared", {}, *parts)

    def legal(self, action: Action) -> torch.Tensor:
        return torch.ones(len(action.call_B4), dtype=torch.bool)


def test_wrong_use_is_a_clear_error() -> None:
    world = Scratchpad("list", SORTING)
    with pytest.raises(ValueError, match="no fixed length"):
        Interface(Declared(Channel("points", (None, 2)), 1), flat=True, pictures=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="27000 different calls"):
        Interface(Declared(Channel("x", (2,)), 29), flat=True, pictures=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="render_mode 'text'; there is ansi and rgb_array"):
        WorldEnv(world, lambda _: {}, render_mode="text")
    with pytest.raises(ValueError, match="render_mode 'human'"):
        WorldVectorEnv(world, lambda _: {}, 2, render_mode="human")
    with pytest.raises(ValueError, match="num_envs is 0"):
        WorldVectorEnv(world, lambda _: {}, 0)
    batch = WorldVectorEnv(world, lambda _: {"A": [1]}, 2, limit=3, flat=True)
    with pytest.raises(ValueError, match="call reset first"):
        batch.step(np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="unknown option 'layout'"):
        batch.reset(options={"layout": {}})
    batch.reset(seed=[1, None])
    with pytest.raises(ValueError, match="are outside"):
        batch.step(np.full(2, 10**6))
    with pytest.raises(ValueError, match="there is no kind of world 'bandits'; did you mean 'bandit'"):
        gymnasium.make("npi/World-v0", kind="bandits")
    with pytest.raises(ValueError, match=r"none\.npi"):
        gymnasium.make("npi/Task-v0", file="none.npi", task="sort")
    assert envs.gym.WorldEnv is WorldEnv
