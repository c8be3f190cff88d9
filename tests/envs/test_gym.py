"""The Gymnasium wrapper: Gymnasium's own checker, and an episode by hand."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import PadConfig, Scratchpad
from envs.gym import WorldEnv
from tests.support.pads import ADDITION, MIXED, SORTING


def sorting(limit: int | None = None) -> WorldEnv:
    return WorldEnv(
        Scratchpad("list", SORTING),
        lambda random: {"A": random.integers(0, 10, size=3).tolist()},
        goal=lambda reading: reading["A"] == sorted(reading["A"]),
        limit=limit,
    )


def call(env: WorldEnv, *parts: str) -> np.ndarray:
    return np.array([0, *(env.world.spec.token(part) for part in (*parts, "-")[:3])])


@pytest.mark.parametrize("config", [ADDITION, SORTING, MIXED], ids=["addition", "sorting", "mixed"])
def test_gymnasium_finds_no_fault(config: PadConfig) -> None:
    layout = {row.name: [0, 1] for row in config.rows}
    env = WorldEnv(Scratchpad("pad", config), lambda _: layout)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)


def test_an_episode_by_hand() -> None:
    env = sorting()
    observed, _ = env.reset(seed=0, options={"layout": {"A": [1, 3, 2]}})
    assert observed.tolist() == [1, 2, 1, 0, 0, 1, 1, 0]
    _, reward, terminated, truncated, info = env.step(call(env, "P1", "RIGHT"))
    assert (reward, terminated, truncated, info) == (0.0, False, False, {"legal": True})
    observed, reward, terminated, _, _ = env.step(call(env, "P1", "SWAP", "P2"))
    assert (reward, terminated, env.read()["A"]) == (1.0, True, [1, 2, 3])
    assert observed.tolist()[:2] == [2, 3]


def test_an_illegal_action_changes_nothing_and_earns_nothing() -> None:
    env = sorting()
    before, _ = env.reset(options={"layout": {"A": [1, 2, 3]}})  # sorted already, so a legal step is rewarded
    after, reward, terminated, _, info = env.step(call(env, "P1", "LEFT", "P2"))
    assert (reward, terminated, info) == (0.0, False, {"legal": False})
    assert after.tolist() == before.tolist()


def test_one_seed_one_episode() -> None:
    first, again, other = (sorting() for _ in range(3))
    seeds = [7, 7, 8]
    drawn = []
    for env, seed in zip((first, again, other), seeds, strict=True):
        env.reset(seed=seed)
        drawn.append([env.read()["A"], env.reset()[0].tolist()])
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_episode_is_cut_at_its_limit() -> None:
    env = sorting(limit=2)
    env.reset(options={"layout": {"A": [3, 2, 1]}})
    assert [env.step(call(env, "P1", "LEFT"))[3] for _ in range(2)] == [False, True]
    env.reset(options={"layout": {"A": [3, 2, 1]}})
    assert not env.step(call(env, "P1", "LEFT"))[3]


def test_wrong_use_is_a_clear_error() -> None:
    env = sorting()
    with pytest.raises(ValueError, match="call reset first"):
        env.step(call(env, "P1", "LEFT"))
    with pytest.raises(ValueError, match="unknown option 'layuot'"):
        env.reset(options={"layuot": {}})
    env.reset(seed=1)
    with pytest.raises(ValueError, match="is outside"):
        env.step(np.array([1, 0, 0, 0]))
    with pytest.raises(ValueError, match="limit is 0"):
        sorting(limit=0)
